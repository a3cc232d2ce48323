//! Time, measured so that a busy machine disturbs it little.

/// Nanoseconds of one call by the thread's own clock: the median of repeats of about 0.3 ms.
pub fn thread_time(call: impl FnMut()) -> f64 {
    median(thread_nanoseconds, call)
}

/// The same by the clock on the wall, for work on several threads, once the system has given each a core of its own.
#[cfg(feature = "rayon")]
pub fn wall_time(mut call: impl FnMut()) -> f64 {
    let start = wall_nanoseconds();
    while wall_nanoseconds() - start < 3e8 {
        call();
    }
    median(wall_nanoseconds, call)
}

fn median(now: fn() -> f64, mut call: impl FnMut()) -> f64 {
    let mut once = |calls: usize| {
        let start = now();
        (0..calls).for_each(|_| call());
        now() - start
    };
    let mut calls = 1;
    once(1);
    while once(calls) < 3e5 {
        calls *= 2;
    }
    let repeats = if calls == 1 && once(1) > 3e6 { 11 } else { 31 };
    let mut times: Vec<f64> = (0..repeats).map(|_| once(calls) / calls as f64).collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// The cycles of this core in a nanosecond: a product of integers and an `or`, each waiting for the one before, take four.
pub fn gigahertz() -> f64 {
    const ROUNDS: u64 = 100_000;
    let nanoseconds = thread_time(|| {
        let mut number = std::hint::black_box(0x9e37_79b9_7f4a_7c15_u64);
        for _ in 0..ROUNDS {
            number = number.wrapping_mul(number) | 2;
        }
        std::hint::black_box(number);
    });
    4.0 * ROUNDS as f64 / nanoseconds
}

/// The time that this thread has run. The machine's other work isn't in it.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
#[allow(unsafe_code)]
pub fn thread_nanoseconds() -> f64 {
    #[repr(C)]
    struct Timespec {
        seconds: i64,
        nanoseconds: i64,
    }
    // SAFETY: the signature is that of the C library on 64-bit Linux.
    unsafe extern "C" {
        fn clock_gettime(clock: i32, time: *mut Timespec) -> i32;
    }
    const THREAD_CPUTIME: i32 = 3;
    let mut time = Timespec { seconds: 0, nanoseconds: 0 };
    // SAFETY: `time` lives as long as the call and has the layout that the C library writes.
    unsafe { clock_gettime(THREAD_CPUTIME, &mut time) };
    time.seconds as f64 * 1e9 + time.nanoseconds as f64
}

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
pub fn thread_nanoseconds() -> f64 {
    wall_nanoseconds()
}

#[cfg(any(feature = "rayon", not(all(target_os = "linux", target_pointer_width = "64"))))]
fn wall_nanoseconds() -> f64 {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed().as_nanos() as f64
}
