//! CPU time of the running thread, from the kernel's own account of it.

/// CPU time that this thread has used, in nanoseconds; 0 where the kernel does not say.
#[expect(clippy::disallowed_methods, reason = "measures the simulator itself; no run depends on it")]
pub(crate) fn thread_cpu_ns() -> u64 {
    let Ok(bytes) = std::fs::read("/proc/thread-self/schedstat") else { return 0 };
    let text = String::from_utf8_lossy(&bytes);
    text.split_whitespace().next().and_then(|first| first.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #[test]
    fn work_takes_time() {
        let before = super::thread_cpu_ns();
        let mut x = 1u64;
        for i in 0..3_000_000u64 {
            x = std::hint::black_box(x.wrapping_mul(i | 1));
        }
        assert!(super::thread_cpu_ns() > before, "{x}");
    }
}
