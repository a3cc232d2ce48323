//! States in serde's formats: their parts by name and width, the rows, the numbers row by row.

use std::fmt;
use std::marker::PhantomData;

use serde_core::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_core::ser::{Serialize, SerializeStruct, Serializer};

use super::{State, StateLayout};
use crate::float::Float;

impl Serialize for StateLayout {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.parts.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for StateLayout {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<(String, usize)>::deserialize(deserializer).map(StateLayout::new)
    }
}

/// One number, as its own type: binary formats tell f32 from f64.
struct Number<T>(T);

impl<T: Float> Serialize for Number<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // JSON has no words for these.
        if serializer.is_human_readable() && !self.0.is_finite() {
            let text = if self.0.is_nan() {
                "nan"
            } else if self.0 > T::zero() {
                "inf"
            } else {
                "-inf"
            };
            return serializer.serialize_str(text);
        }
        match size_of::<T>() {
            4 => serializer.serialize_f32(self.0.into_f64() as f32),
            _ => serializer.serialize_f64(self.0.into_f64()),
        }
    }
}

impl<'de, T: Float> Deserialize<'de> for Number<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return deserializer.deserialize_any(Readable).map(|number| Number(T::from_f64(number)));
        }
        Ok(Number(T::from_f64(match size_of::<T>() {
            4 => f32::deserialize(deserializer)?.into(),
            _ => f64::deserialize(deserializer)?,
        })))
    }
}

/// A number that people can read.
struct Readable;

impl Visitor<'_> for Readable {
    type Value = f64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, \"inf\", \"-inf\" or \"nan\"")
    }

    fn visit_f64<E>(self, number: f64) -> Result<f64, E> {
        Ok(number)
    }

    fn visit_i64<E>(self, number: i64) -> Result<f64, E> {
        Ok(number as f64)
    }

    fn visit_u64<E>(self, number: u64) -> Result<f64, E> {
        Ok(number as f64)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<f64, E> {
        match text {
            "inf" => Ok(f64::INFINITY),
            "-inf" => Ok(f64::NEG_INFINITY),
            "nan" => Ok(f64::NAN),
            _ => Err(E::invalid_value(serde_core::de::Unexpected::Str(text), &self)),
        }
    }
}

const FIELDS: [&str; 3] = ["parts", "batch", "values"];

impl<T: Float> Serialize for State<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let [parts, batch, values] = FIELDS;
        let mut fields = serializer.serialize_struct("State", 3)?;
        fields.serialize_field(parts, &*self.layout)?;
        fields.serialize_field(batch, &self.batch)?;
        fields.serialize_field(values, &Numbers(self.as_slice()))?;
        fields.end()
    }
}

/// Numbers in a row.
struct Numbers<'n, T>(&'n [T]);

impl<T: Float> Serialize for Numbers<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|&value| Number(value)))
    }
}

impl<'de, T: Float> Deserialize<'de> for State<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_struct("State", &FIELDS, Fields(PhantomData))
    }
}

struct Fields<T>(PhantomData<T>);

impl<T: Float> Fields<T> {
    fn state<E: Error>(layout: StateLayout, batch: usize, values: &[Number<T>]) -> Result<State<T>, E> {
        // As many numbers as there are: nothing is asked for by a number that was read.
        if layout.width().checked_mul(batch) != Some(values.len()) {
            let (width, given) = (layout.width(), values.len());
            return Err(E::custom(format!("{batch} rows of {width} columns aren't {given} numbers")));
        }
        let values: Vec<T> = values.iter().map(|number| number.0).collect();
        State::of_values(layout, batch, &values).map_err(E::custom)
    }
}

impl<'de, T: Float> Visitor<'de> for Fields<T> {
    type Value = State<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a state: parts, batch, values")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<State<T>, A::Error> {
        let missing = |place: usize| A::Error::invalid_length(place, &"3 fields");
        let layout = items.next_element()?.ok_or_else(|| missing(0))?;
        let batch = items.next_element()?.ok_or_else(|| missing(1))?;
        let values: Vec<Number<T>> = items.next_element()?.ok_or_else(|| missing(2))?;
        Self::state(layout, batch, &values)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<State<T>, A::Error> {
        let [parts, rows, numbers] = FIELDS;
        let (mut layout, mut batch, mut values) = (None, None, None);
        while let Some(key) = map.next_key::<String>()? {
            let twice = match &key[..] {
                key if key == parts => layout.replace(map.next_value()?).is_some(),
                key if key == rows => batch.replace(map.next_value()?).is_some(),
                key if key == numbers => values.replace(map.next_value::<Vec<Number<T>>>()?).is_some(),
                other => return Err(A::Error::unknown_field(other, &FIELDS)),
            };
            if twice {
                return Err(A::Error::custom(format!("there are two fields {key:?}")));
            }
        }
        let missing = A::Error::missing_field;
        let (layout, batch) = (layout.ok_or_else(|| missing(parts))?, batch.ok_or_else(|| missing(rows))?);
        Self::state(layout, batch, &values.ok_or_else(|| missing(numbers))?)
    }
}
