//! What holds a model's weights: HDF5 data, or a safetensors file whose names are the paths that HDF5 data would have.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::formats::error::{Found, Problem, within};
use crate::formats::hdf5::{self, Hdf5};
use crate::formats::limits::Limits;
use crate::formats::safetensors::Safetensors;
use crate::formats::tensors::{Element, Tensor};

/// A tree of groups and tensors.
pub(super) enum Store<'a> {
    Hdf5(Hdf5<'a>),
    Named(Named<'a>),
}

/// A group or a tensor.
#[derive(Debug, Clone, Copy)]
pub(super) enum Object {
    Hdf5(hdf5::Object),
    Named(usize),
}

/// A member of a group, by its name.
type Member<'a> = (&'a str, Object);

/// The groups that the names of tensors make.
pub(super) struct Named<'a> {
    file: &'a Safetensors,
    /// The first is the root.
    groups: Vec<Group<'a>>,
}

/// A group; or a tensor, which has no members.
#[derive(Default)]
struct Group<'a> {
    members: BTreeMap<&'a str, usize>,
    tensor: bool,
}

impl<'a> Named<'a> {
    pub(super) fn new(file: &'a Safetensors, limits: &Limits) -> Found<Self> {
        let mut groups = vec![Group::default()];
        for name in file.names_but_examples() {
            let clash = || Problem::Safetensors { reason: format!("the name {name:?} isn't a path of its own") };
            let mut at = 0;
            for part in name.split('/') {
                if part.is_empty() || groups[at].tensor {
                    return Err(clash());
                }
                at = match groups[at].members.get(part) {
                    Some(&member) => member,
                    None => {
                        within("objects", groups.len() + 1, limits.objects)?;
                        let new = groups.len();
                        groups[at].members.insert(part, new);
                        groups.push(Group::default());
                        new
                    }
                };
            }
            if groups[at].tensor || !groups[at].members.is_empty() {
                return Err(clash());
            }
            groups[at].tensor = true;
        }
        Ok(Named { file, groups })
    }

    fn group(&self, object: Object) -> Option<&Group<'a>> {
        match object {
            Object::Named(at) => self.groups.get(at),
            Object::Hdf5(_) => None,
        }
    }

    fn find(&self, path: &str) -> Option<Object> {
        let parts = path.split('/').filter(|part| !part.is_empty());
        let found = parts.into_iter().try_fold(0, |at, part| self.groups.get(at)?.members.get(part).copied());
        found.map(Object::Named)
    }
}

impl<'a> Store<'a> {
    pub(super) fn root(&self) -> Object {
        match self {
            Store::Hdf5(file) => Object::Hdf5(file.root()),
            Store::Named(_) => Object::Named(0),
        }
    }

    /// What is in a group.
    pub(super) fn members(&self, group: Object) -> Found<Rc<[Member<'a>]>> {
        match (self, group) {
            (Store::Hdf5(file), Object::Hdf5(group)) => {
                Ok(file.members(group)?.iter().map(|&(name, member)| (name, Object::Hdf5(member))).collect())
            }
            (Store::Named(file), group) => {
                let members = file.group(group).map(|group| &group.members);
                Ok(members.into_iter().flatten().map(|(&name, &member)| (name, Object::Named(member))).collect())
            }
            (Store::Hdf5(_), Object::Named(_)) => Ok(Rc::new([])),
        }
    }

    /// The group or tensor at a path.
    pub(super) fn find(&self, path: &str) -> Found<Option<Object>> {
        match self {
            Store::Hdf5(file) => Ok(file.find(path)?.map(Object::Hdf5)),
            Store::Named(file) => Ok(file.find(path)),
        }
    }

    pub(super) fn is_dataset(&self, object: Object) -> Found<bool> {
        match (self, object) {
            (Store::Hdf5(file), Object::Hdf5(object)) => file.is_dataset(object),
            (Store::Named(file), object) => Ok(file.group(object).is_some_and(|group| group.tensor)),
            (Store::Hdf5(_), Object::Named(_)) => Ok(false),
        }
    }

    /// The type and the shape of a tensor.
    pub(super) fn form(&self, path: &str, object: Object) -> Found<(Element, Vec<usize>)> {
        match (self, object) {
            (Store::Hdf5(file), Object::Hdf5(object)) => {
                let dataset = file.dataset(path, object)?;
                Ok((dataset.element(), dataset.shape))
            }
            (Store::Named(file), _) => {
                let form = file.file.form(path).map(|(element, shape)| (element, shape.to_vec()));
                form.ok_or_else(|| unknown(path))
            }
            (Store::Hdf5(_), Object::Named(_)) => Err(unknown(path)),
        }
    }

    pub(super) fn tensor(&self, path: &str, object: Object) -> Found<Tensor<'a>> {
        match (self, object) {
            (Store::Hdf5(file), Object::Hdf5(object)) => file.tensor(path, object),
            (Store::Named(file), _) => file.file.tensor(path)?.ok_or_else(|| unknown(path)),
            (Store::Hdf5(_), Object::Named(_)) => Err(unknown(path)),
        }
    }

    /// Counts a look at something: HDF5 data may lead in circles.
    pub(super) fn spend(&self) -> Found<()> {
        match self {
            Store::Hdf5(file) => file.spend(),
            Store::Named(_) => Ok(()),
        }
    }

    /// The texts of an attribute, which HDF5 data alone have.
    pub(super) fn strings(&self, object: Object, name: &str) -> Found<Option<Vec<&'a str>>> {
        match (self, object) {
            (Store::Hdf5(file), Object::Hdf5(object)) => file.strings(object, name),
            _ => Ok(None),
        }
    }
}

fn unknown(path: &str) -> Problem {
    Problem::MissingObject { what: "dataset", name: path.into() }
}
