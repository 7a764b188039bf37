//! Ctrl-C, or SIGTERM as whoever cancels a job sends it: the first asks for a clean end with what there is, the second ends
//! at once.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::exit::Exit;
use crate::screen;

static ASKED: AtomicBool = AtomicBool::new(false);
static WATCHING: OnceLock<()> = OnceLock::new();

/// Whether Ctrl-C was pressed or SIGTERM came. From the first call on, neither kills the process at once.
pub fn asked() -> &'static AtomicBool {
    WATCHING.get_or_init(watch);
    &ASKED
}

/// Ends at Ctrl-C or when the process is asked to terminate; never where it cannot hear of that.
pub async fn ended() {
    let pressed = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    };
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    broker::env::race(pressed, terminate).await;
}

#[expect(clippy::disallowed_methods, reason = "a signal must be heard while all workers are busy; no run sees it")]
fn watch() {
    std::thread::spawn(|| {
        let Ok(rt) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        rt.block_on(async {
            ended().await;
            ASKED.store(true, Ordering::Relaxed);
            screen::remark("stopping: what is running ends first (Ctrl-C again: at once)");
            ended().await;
            load::target::abandon();
            std::process::exit(i32::from(Exit::Incomplete.code()));
        });
    });
}
