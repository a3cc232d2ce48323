//! The operations that models are made of, each in one file: the shapes that come out, the run, the backward pass,
//! weights, masks and steps.
//!
//! Some are made by readers of files alone: without those, parts of them aren't used.

#![cfg_attr(
    not(all(feature = "file", feature = "keras", feature = "onnx")),
    allow(dead_code, unused_imports, reason = "readers of files make them")
)]

pub(crate) mod activation;
pub(crate) mod attention;
pub(crate) mod binary;
pub(crate) mod cast;
pub(crate) mod categories;
pub(crate) mod channels_first;
pub(crate) mod concatenate;
pub(crate) mod constant;
pub(crate) mod contract;
pub(crate) mod convolution;
pub(crate) mod custom;
pub(crate) mod dense;
pub(crate) mod einsum_dense;
pub(crate) mod embedding;
pub(crate) mod flags;
pub(crate) mod gather;
pub(crate) mod get_item;
pub(crate) mod global_pooling;
pub(crate) mod group_normalization;
pub(crate) mod identity;
pub(crate) mod masking;
pub(crate) mod merge;
pub(crate) mod moved_steps;
pub(crate) mod multi_head;
pub(crate) mod nested;
pub(crate) mod noise;
pub(crate) mod normalization;
mod places;
pub(crate) mod pooling;
pub(crate) mod prelu;
pub(crate) mod preprocessing;
pub(crate) mod quantized_dense;
pub(crate) mod quantized_embedding;
mod recent;
pub(crate) mod recurrent;
pub(crate) mod reduce;
pub(crate) mod sequence_mask;
pub(crate) mod shapes;
pub(crate) mod softmax;
pub(crate) mod spatial;
pub(crate) mod spectral_normalization;
pub(crate) mod time_distributed;
pub(crate) mod unary;
pub(crate) mod unit;
pub(crate) mod unmasked;
pub(crate) mod whole_shape;
