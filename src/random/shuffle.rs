//! The order in which Keras's `fit` goes through rows.

use super::philox::Philox;

/// What TensorFlow reduces the seed of a graph by.
const MODULUS: i64 = (1 << 31) - 1;

/// Makes `order` the rows 0..`count` in the order of `tf.random.shuffle` after `keras.utils.set_random_seed(seed)`.
///
/// It is Philox's stream without the step that makes a key of two seeds, whatever was drawn before.
pub(crate) fn shuffle(seed: i64, count: usize, order: &mut Vec<usize>) {
    order.clear();
    order.extend(0..count);
    let key = seed.rem_euclid(MODULUS) as u32;
    let high = if key == 0 { MODULUS as u128 } else { 0 };
    let words = Philox::from_key([key, 0], high << 64).flatten();
    for (i, word) in (0..count.saturating_sub(1)).zip(words) {
        order.swap(i, i + word as usize % (count - i));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_keras_s() {
        // Those in which fit(shuffle=True) goes through ten rows.
        for (seed, expected) in [(7, [7, 5, 4, 0, 3, 6, 9, 2, 8, 1]), (8, [1, 8, 6, 4, 9, 5, 3, 0, 2, 7])] {
            let mut order = vec![99; 3];
            shuffle(seed, 10, &mut order);
            assert_eq!(order, expected);
        }
    }

    #[test]
    fn nothing_is_lost() {
        for count in [0, 1, 2, 5, 1001] {
            for seed in [0, 1, -3, MODULUS, i64::MIN, i64::MAX] {
                let mut order = Vec::new();
                shuffle(seed, count, &mut order);
                order.sort_unstable();
                assert!(order.into_iter().eq(0..count));
            }
        }
    }
}
