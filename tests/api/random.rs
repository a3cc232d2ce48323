//! The generator through rand's traits, and the seeds of a Keras script.

use rand::distr::{Distribution, Uniform};
use rand::seq::SliceRandom;
use rand::{Rng, RngExt, SeedableRng};
use recurrent::{KerasRng, SeedSource};

/// TensorFlow's words for the seed pair (3, 0).
const WORDS: [u32; 5] = [0xb89913ac, 0x55f83c77, 0xae442198, 0xbf6ba73e, 0x4b17665f];

#[test]
fn the_generator_gives_tensorflow_s_words() {
    let mut rng = KerasRng::new(3, 0);
    assert_eq!(WORDS.map(|_| rng.next_u32()), WORDS);
    let mut rng = KerasRng::new(3, 1);
    assert_eq!([rng.next_u32(), rng.next_u32()], [0x4d388047, 0xa357be97]);
}

#[test]
fn longer_words_and_bytes_are_made_of_them_in_order() {
    let mut rng = KerasRng::new(3, 0);
    assert_eq!(rng.next_u64(), 0x55f83c77_b89913ac);
    assert_eq!(rng.next_u32(), WORDS[2]);
    assert_eq!(rng.next_u64(), 0x4b17665f_bf6ba73e); // across two blocks

    let mut bytes = [0; 6];
    KerasRng::new(3, 0).fill_bytes(&mut bytes);
    assert_eq!(bytes, [0xac, 0x13, 0x99, 0xb8, 0x77, 0x3c]);
}

#[test]
fn seeding_through_rand() {
    assert_eq!(KerasRng::seed_from_u64(7), KerasRng::new(7, 0));
    let mut seed = [0; 16];
    seed[..8].copy_from_slice(&(-5i64).to_le_bytes());
    seed[8..].copy_from_slice(&3u64.to_le_bytes());
    assert_eq!(KerasRng::from_seed(seed), KerasRng::new(-5, 3));
    let forked = KerasRng::new(1, 0).fork();
    assert_ne!(forked, KerasRng::new(1, 0));
}

#[test]
fn a_copy_goes_on_by_itself() {
    let mut rng = KerasRng::new(11, 2);
    rng.next_u32();
    let mut copy = rng.clone();
    assert_eq!(copy, rng);
    assert_eq!(copy.next_u64(), rng.next_u64());
}

#[test]
fn distributions_of_rand_and_rand_distr_work_on_it() {
    let mut rng = KerasRng::new(1, 0);
    let mean = |numbers: &mut dyn FnMut() -> f64| (0..20_000).map(|_| numbers()).sum::<f64>() / 20_000.0;

    let normal = rand_distr::Normal::new(3.0, 2.0).unwrap();
    assert!((mean(&mut || normal.sample(&mut rng)) - 3.0).abs() < 0.1);
    let exponential = rand_distr::Exp::new(4.0).unwrap();
    assert!((mean(&mut || rng.sample(exponential)) - 0.25).abs() < 0.02);
    let uniform = Uniform::new(-1.0, 2.0).unwrap();
    assert!((mean(&mut || uniform.sample(&mut rng)) - 0.5).abs() < 0.05);

    let mut order: Vec<u8> = (0..50).collect();
    order.shuffle(&mut rng);
    assert_ne!(order, (0..50).collect::<Vec<_>>());
    order.sort_unstable();
    assert_eq!(order, (0..50).collect::<Vec<_>>());
}

#[test]
fn a_user_s_own_distribution_works_on_it() {
    struct Sign;
    impl Distribution<f64> for Sign {
        fn sample<R: Rng + ?Sized>(&self, rng: &mut R) -> f64 {
            if rng.random() { 1.0 } else { -1.0 }
        }
    }
    let signs: Vec<f64> = Sign.sample_iter(KerasRng::new(4, 0)).take(1000).collect();
    assert!(signs.iter().sum::<f64>().abs() < 120.0);
    assert!(signs.iter().all(|sign| sign.abs() == 1.0));
}

#[test]
fn seeds_of_a_keras_script() {
    let mut seeds = SeedSource::keras(5);
    let first: [i64; 5] = std::array::from_fn(|_| seeds.next_seed());
    assert_eq!(first, [668835602, 274281999, 796487719, 384974576, 853832590]);
    let mut seeds = SeedSource::keras(0);
    assert_eq!([seeds.next_seed(), seeds.next_seed()], [906691060, 413654000]);
    assert_eq!(SeedSource::keras(u32::MAX).next_seed(), 682209859);
}

#[test]
fn seeds_stay_pythons_beyond_the_first_state() {
    // Python: random.seed(7); [random.randint(1, 10**9) for _ in range(2000)][-1]
    let mut seeds = SeedSource::keras(7);
    let all: Vec<i64> = (0..2000).map(|_| seeds.next_seed()).collect();
    assert_eq!(all[1999], 608941713);
}

#[test]
fn random_seeds_differ() {
    let (mut a, mut b) = (SeedSource::random().unwrap(), SeedSource::random().unwrap());
    let draw = |seeds: &mut SeedSource| -> [i64; 4] { std::array::from_fn(|_| seeds.next_seed()) };
    let (a, b) = (draw(&mut a), draw(&mut b));
    assert_ne!(a, b);
    assert!(a.iter().chain(&b).all(|seed| (1..=1_000_000_000).contains(seed)));
}

#[test]
fn a_source_does_not_print_its_state() {
    assert_eq!(format!("{:?}", SeedSource::keras(1)), "SeedSource { .. }");
}
