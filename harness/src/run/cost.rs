//! CPU time of the running thread, from the kernel's own account of it.

/// CPU time that this thread has used, in nanoseconds (`CLOCK_THREAD_CPUTIME_ID`). It measures the simulator; no run
/// depends on it.
pub(crate) fn thread_cpu_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let (s, ns) = (u64::try_from(time.tv_sec).unwrap_or(0), u64::try_from(time.tv_nsec).unwrap_or(0));
    s * 1_000_000_000 + ns
}

#[cfg(test)]
mod tests {
    #[test]
    fn work_takes_time() {
        let before = super::thread_cpu_ns();
        let mut x = 1u64;
        for i in 0..100_000u64 {
            x = std::hint::black_box(x.wrapping_mul(i | 1));
        }
        assert!(super::thread_cpu_ns() > before, "{x}");
    }
}
