//! The layers of the built-in cells by name, from the [list of cells](crate::cells): one line there is all it takes.

use super::recurrent::Recurrent;

/// What follows from the list of cells: the layers' names, and conversions between element types.
macro_rules! list_layers {
    ($($file:ident::$cell:ident: $layer:ident = $class:literal;)*) => {$(
        #[doc = concat!("A layer of [`", stringify!($cell), "`](crate::cell::", stringify!($cell), ")s, which has the equations,")]
        /// weights and options.
        pub type $layer<T = f32> = Recurrent<crate::cells::$cell<T>>;

        impl From<&$layer<f32>> for $layer<f64> {
            fn from(layer: &$layer<f32>) -> Self {
                layer.cast()
            }
        }

        impl From<&$layer<f64>> for $layer<f32> {
            fn from(layer: &$layer<f64>) -> Self {
                layer.cast()
            }
        }
    )*};
}

crate::cells::each_cell!(list_layers);
