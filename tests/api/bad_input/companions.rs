//! Embedding, masking, dense.

use ndarray::prelude::*;
use recurrent::{Dense, Embedding, Error, Masking};

use super::refusal;

#[test]
fn ids() {
    let embedding = Embedding::<f32>::new(5, 3);
    let id = |row, time, id: &str| Error::EmbeddingId { row, time, id: id.into(), vocabulary: 5 };
    assert_eq!(refusal(embedding.forward(&array![[0, 1], [4, 5]])), id(1, 1, "5"));
    assert_eq!(refusal(embedding.forward(&array![[-1_i64, 1]])), id(0, 0, "-1"));
    assert_eq!(refusal(embedding.forward(&array![[3, u64::MAX]])), id(0, 1, "18446744073709551615"));
    assert_eq!(refusal(embedding.forward(&array![[i128::MIN]])), id(0, 0, &i128::MIN.to_string()));
    assert_eq!(embedding.forward(&Array2::<u8>::zeros((0, 4))).unwrap().0.dim(), (0, 4, 3));
    assert_eq!(embedding.forward(&Array2::<u8>::zeros((2, 0))).unwrap().0.dim(), (2, 0, 3));
    let mut embedding = embedding;
    let before = embedding.embeddings().to_owned();
    let error = refusal(embedding.set_embeddings(ArrayD::zeros(vec![3, 5]).view()));
    assert_eq!(error, Error::WeightShape { name: "embeddings".into(), expected: vec![5, 3], given: vec![3, 5] });
    assert_eq!(embedding.embeddings(), before);
}

#[test]
fn mask_values() {
    assert_eq!(refusal(Masking::new(f32::NAN)), Error::MaskValue);
    let x = array![[[f64::NAN, 1.0], [0.0, 0.0]], [[0.0, -0.0], [f64::INFINITY, 0.0]]];
    let (masked, mask) = Masking::new(0.0).unwrap().forward(&x).unwrap();
    assert_eq!(mask, array![[true, false], [false, true]]); // NaN differs from everything
    assert!(masked[[0, 0, 0]].is_nan());
    assert_eq!(Masking::new(0.0_f32).unwrap().mask(&Array3::zeros((0, 3, 2))).unwrap().dim(), (0, 3));
    assert_eq!(Masking::new(0.0_f32).unwrap().mask(&Array3::zeros((2, 0, 2))).unwrap().dim(), (2, 0));
}

#[test]
fn rows() {
    let dense = Dense::<f32>::new(3, 2);
    let error = refusal(dense.forward_rows(&Array2::zeros((4, 2))));
    assert_eq!(error, Error::StepShape { expected: (4, 3), given: (4, 2) });
    assert_eq!(dense.forward_rows(&Array2::zeros((0, 3))).unwrap().dim(), (0, 2));
}
