//! The operations that models are made of, each in one file: the shapes that come out, the run, the backward pass,
//! weights, masks and steps.
//!
//! Some are made by readers of files alone: without those, parts of them aren't used.

pub(crate) mod activation;
#[cfg_attr(not(all(feature = "file", feature = "keras")), allow(dead_code, unused_imports))]
pub(crate) mod attention;
#[cfg_attr(not(all(feature = "file", feature = "keras")), allow(dead_code, unused_imports))]
pub(crate) mod binary;
#[cfg_attr(not(all(feature = "file", feature = "keras")), allow(dead_code, unused_imports))]
pub(crate) mod cast;
pub(crate) mod channels_first;
pub(crate) mod concatenate;
#[cfg_attr(not(all(feature = "file", feature = "keras")), allow(dead_code, unused_imports))]
pub(crate) mod constant;
#[cfg_attr(not(all(feature = "file", feature = "keras")), allow(dead_code, unused_imports))]
pub(crate) mod contract;
pub(crate) mod convolution;
pub(crate) mod custom;
pub(crate) mod dense;
pub(crate) mod einsum_dense;
pub(crate) mod embedding;
pub(crate) mod flags;
#[cfg_attr(not(all(feature = "file", feature = "keras")), allow(dead_code, unused_imports))]
pub(crate) mod gather;
#[cfg_attr(not(all(feature = "file", feature = "keras")), allow(dead_code, unused_imports))]
pub(crate) mod get_item;
pub(crate) mod global_pooling;
pub(crate) mod group_normalization;
pub(crate) mod identity;
pub(crate) mod masking;
pub(crate) mod merge;
pub(crate) mod moved_steps;
#[cfg_attr(not(all(feature = "file", feature = "keras")), allow(dead_code, unused_imports))]
pub(crate) mod multi_head;
pub(crate) mod nested;
pub(crate) mod normalization;
#[cfg_attr(not(all(feature = "file", feature = "keras")), allow(dead_code, unused_imports))]
mod places;
pub(crate) mod pooling;
pub(crate) mod prelu;
#[cfg_attr(not(all(feature = "file", feature = "keras")), allow(dead_code, unused_imports))]
pub(crate) mod preprocessing;
pub(crate) mod recurrent;
#[cfg_attr(not(all(feature = "file", feature = "keras")), allow(dead_code, unused_imports))]
pub(crate) mod reduce;
#[cfg_attr(not(all(feature = "file", feature = "onnx")), allow(dead_code, unused_imports))]
pub(crate) mod sequence_mask;
pub(crate) mod shapes;
pub(crate) mod softmax;
#[cfg_attr(not(all(feature = "file", feature = "keras")), allow(dead_code, unused_imports))]
pub(crate) mod spatial;
#[cfg_attr(not(all(feature = "file", feature = "keras")), allow(dead_code, unused_imports))]
pub(crate) mod spectral_normalization;
pub(crate) mod time_distributed;
#[cfg_attr(not(all(feature = "file", feature = "keras")), allow(dead_code, unused_imports))]
pub(crate) mod unary;
#[cfg_attr(not(all(feature = "file", feature = "keras")), allow(dead_code, unused_imports))]
pub(crate) mod unit;
#[cfg_attr(not(all(feature = "file", feature = "keras")), allow(dead_code, unused_imports))]
pub(crate) mod unmasked;
#[cfg_attr(not(all(feature = "file", feature = "keras")), allow(dead_code, unused_imports))]
pub(crate) mod whole_shape;
