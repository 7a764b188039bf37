//! Ctrl-C: the first asks for a clean end with what there is, the second ends at once.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::exit::Exit;
use crate::screen;

static ASKED: AtomicBool = AtomicBool::new(false);
static WATCHING: OnceLock<()> = OnceLock::new();

/// Whether Ctrl-C was pressed. From the first call on, it no longer kills the process at once.
pub fn asked() -> &'static AtomicBool {
    WATCHING.get_or_init(watch);
    &ASKED
}

/// Ends at Ctrl-C or when the process is asked to terminate.
pub async fn ended() {
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    broker::env::race(tokio::signal::ctrl_c(), terminate).await;
}

#[expect(clippy::disallowed_methods, reason = "a signal must be heard while all workers are busy; no run sees it")]
fn watch() {
    std::thread::spawn(|| {
        let Ok(rt) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        rt.block_on(async {
            if tokio::signal::ctrl_c().await.is_err() {
                return;
            }
            ASKED.store(true, Ordering::Relaxed);
            screen::remark("stopping: what is running ends first (Ctrl-C again: at once)");
            if tokio::signal::ctrl_c().await.is_ok() {
                load::target::abandon();
                std::process::exit(i32::from(Exit::Incomplete.code()));
            }
        });
    });
}
