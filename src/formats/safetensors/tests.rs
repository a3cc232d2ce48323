//! What is written is read; what isn't sound is refused.

use ndarray::{arr0, array};

use super::{Entry, Safetensors, Values, write};
use crate::formats::error::Problem;
use crate::formats::limits::Limits;

fn file(header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend_from_slice(data);
    bytes
}

fn refusal(bytes: Vec<u8>) -> String {
    Safetensors::new(bytes, &Limits::new()).expect_err("not sound").to_string()
}

#[test]
fn numbers_of_each_type() {
    let header = "{\"__metadata__\":{\"format\":\"é\\\"\"},\
                  \"b\":{\"dtype\":\"F64\",\"shape\":[2],\"data_offsets\":[4,20]},\
                  \"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},\
                  \"c\":{\"dtype\":\"BF16\",\"shape\":[1,1],\"data_offsets\":[20,22]},\
                  \"d\":{\"dtype\":\"F16\",\"shape\":[0,4],\"data_offsets\":[22,22]},\
                  \"e\":{\"dtype\":\"BOOL\",\"shape\":[1],\"data_offsets\":[22,23]}}";
    let mut data = 1.5_f32.to_le_bytes().to_vec();
    data.extend([f64::NEG_INFINITY, 0.1].map(f64::to_le_bytes).concat());
    data.extend([0x40, 0xc0, 1]); // -3 in the upper half of an f32, and true
    let read = Safetensors::new(file(header, &data), &Limits::new()).expect("sound");
    assert_eq!(read.metadata(), [("format".to_string(), "é\"".to_string())]);
    let infos: Vec<String> = read.tensors().iter().map(ToString::to_string).collect();
    assert_eq!(infos, ["a: float32 []", "b: float64 [2]", "c: bfloat16 [1, 1]", "d: float16 [0, 4]", "e: bool [1]"]);
    let values =
        |name: &str| read.tensor(name).expect("read").expect("there").array::<f64>("", name, false).expect("numbers");
    assert_eq!(values("a"), arr0(1.5).into_dyn());
    assert_eq!(values("b"), array![f64::NEG_INFINITY, 0.1].into_dyn());
    assert_eq!(values("c"), array![[-3.0]].into_dyn());
    assert_eq!(values("d").shape(), [0, 4]);
    assert!(read.form("f").is_none());
}

#[test]
fn what_is_written_is_read() {
    let entry = |name: &str, array| Entry { name: name.into(), elements: Values::Floats(array).into() };
    let (b, a) = (array![[1.5_f32, -0.0], [f32::MIN_POSITIVE, 3.0]].into_dyn(), arr0(7.0).into_dyn());
    let mut tensors = [entry("b \"é\"", b.clone()), entry("a", a.clone())];
    let mut bytes = Vec::new();
    write(&mut bytes, &[("format", "p\nt".into())], &mut tensors).expect("into memory");
    let mut again = Vec::new();
    tensors.reverse();
    write(&mut again, &[("format", "p\nt".into())], &mut tensors).expect("into memory");
    assert_eq!(bytes, again, "whatever the order");
    let read = Safetensors::new(bytes, &Limits::new()).expect("sound");
    assert_eq!(read.metadata(), [("format".to_string(), "p\nt".to_string())]);
    let values =
        |name: &str| read.tensor(name).expect("read").expect("there").array::<f32>("", name, false).expect("numbers");
    assert_eq!((values("a"), values("b \"é\"")), (a, b));
    assert!(values("b \"é\"")[[0, 1]].is_sign_negative());
}

#[test]
fn each_byte_belongs_to_one_tensor() {
    let two = |a: [usize; 2], b: [usize; 2]| {
        let one = |at: [usize; 2]| {
            format!("{{\"dtype\":\"F32\",\"shape\":[{}],\"data_offsets\":{at:?}}}", (at[1] - at[0]) / 4)
        };
        file(&format!("{{\"a\":{},\"b\":{}}}", one(a), one(b)), &[0; 16])
    };
    assert!(Safetensors::new(two([0, 8], [8, 16]), &Limits::new()).is_ok());
    assert!(Safetensors::new(two([8, 16], [0, 8]), &Limits::new()).is_ok());
    assert!(refusal(two([0, 8], [4, 16])).contains("\"b\" overlaps another tensor"));
    assert!(refusal(two([0, 4], [8, 16])).contains("\"b\" stands behind a hole"));
    assert!(refusal(two([0, 8], [8, 12])).contains("bytes of no tensor"));
    assert!(refusal(two([0, 8], [8, 20])).contains("end before the last tensor"));
    assert!(refusal(two([0, 16], [0, 16])).contains("overlaps"));
}

#[test]
fn headers_that_lie() {
    let one = |what: &str| file(&format!("{{\"a\":{what}}}"), &[0; 8]);
    for (what, told) in [
        ("{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]}", "8 bytes aren't F32 [3]"),
        ("{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}", "aren't a start and an end"),
        ("{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}", "its shape isn't a list of sizes"),
        ("{\"dtype\":\"F32\",\"shape\":2,\"data_offsets\":[0,8]}", "its shape isn't a list of sizes"),
        ("{\"dtype\":7,\"shape\":[2],\"data_offsets\":[0,8]}", "its dtype isn't a name"),
        ("{\"dtype\":\"F4\",\"shape\":[2],\"data_offsets\":[0,8]}", "holds F4, expected float16"),
        ("{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8],\"more\":1}", "an entry \"more\""),
        ("{\"dtype\":\"F32\",\"shape\":[4611686018427387904,4],\"data_offsets\":[0,8]}", "aren't F32"),
        ("{\"shape\":[2],\"data_offsets\":[0,8]}", "its dtype isn't a name"),
        ("{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}", "two entries \"dtype\""),
        ("[]", "expected an object"),
    ] {
        assert!(refusal(one(what)).contains(told), "{what}: {}", refusal(one(what)));
    }
    let twice = "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\
                 \"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}";
    assert!(refusal(file(twice, &[0; 8])).contains("two tensors \"a\""));
    assert!(refusal(file("{\"__metadata__\":{\"key\":1}}", &[])).contains("something else than text at \"key\""));
    assert!(refusal(file("{\"__metadata__\":{\"key\":\"\",\"key\":\"\"}}", &[])).contains("two entries \"key\""));
    assert!(refusal(file("{\"__metadata__\":{},\"__metadata__\":{}}", &[])).contains("two entries __metadata__"));
    let deep = format!("{{\"dtype\":\"U8\",\"shape\":[8{}],\"data_offsets\":[0,8]}}", ",1".repeat(64));
    assert!(refusal(one(&deep)).contains("more than 64 dimensions"));
    assert!(refusal(one(&"[".repeat(1000))).contains("isn't sound JSON"));
    assert!(refusal(file(" {}", &[])).contains("the header isn't an object"));
    assert!(refusal(file("{", &[])).contains("the header isn't sound JSON"));
    assert!(refusal(vec![0; 7]).contains("before the header's length"));
    assert!(refusal(vec![0xff; 16]).contains("beyond the end"));
}

#[test]
fn limits_hold() {
    let bytes = file("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", &[0; 4]);
    for (limits, field) in [(Limits::new().config_bytes(8), "config_bytes"), (Limits::new().tensors(0), "tensors")] {
        match Safetensors::new(bytes.clone(), &limits) {
            Err(Problem::Limit { what, .. }) => assert_eq!(what, field),
            other => panic!("{other:?}"),
        }
    }
}
