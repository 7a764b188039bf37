//! Panics inside a world: kept as findings with their place, and kept off the terminal.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::Once;

thread_local! {
    static WATCHING: Cell<bool> = const { Cell::new(false) };
    static FIRST: RefCell<Option<String>> = const { RefCell::new(None) };
}

fn note(info: &PanicHookInfo<'_>) {
    let payload = info.payload();
    let message = payload.downcast_ref::<&str>().copied().map(str::to_string);
    let message = message.or_else(|| payload.downcast_ref::<String>().cloned());
    let message = message.unwrap_or_else(|| "a panic without a message".into());
    let place = info.location().map(|l| format!(" at {}:{}", l.file(), l.line())).unwrap_or_default();
    // The first tells the cause; the simulator may panic once more because of it.
    FIRST.with_borrow_mut(|first| _ = first.get_or_insert(format!("panic: {message}{place}")));
}

/// Runs `work`; a panic inside becomes its message and place.
pub(crate) fn guard<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| match WATCHING.try_with(Cell::get) {
            Ok(true) => note(info),
            _ => before(info),
        }));
    });
    let outer = WATCHING.replace(true);
    let done = catch_unwind(AssertUnwindSafe(work));
    WATCHING.set(outer);
    let first = FIRST.take();
    match (done, first) {
        (Ok(value), None) => Ok(value),
        (_, Some(message)) => Err(message),
        (Err(_), None) => Err("a panic without a trace".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::guard;

    #[test]
    fn a_panic_becomes_its_message_and_place() {
        assert_eq!(guard(|| 3), Ok(3));
        let said = guard(|| panic!("boom {}", 7)).unwrap_err();
        assert!(said.starts_with("panic: boom 7 at ") && said.contains("panics.rs:"), "{said}");
        assert_eq!(guard(|| 4), Ok(4), "nothing is left over");
    }
}
