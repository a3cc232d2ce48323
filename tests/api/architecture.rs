//! The house as the design page draws it: every folder and file at the top of `src` has a place on its plan, arrows
//! (imports) go down, and no two folders import each other, not even by way of a third. Files and functions are short,
//! and each trap of the kernels is named where it is obeyed.
//!
//! Imports are read from the text: paths that begin with `crate::` or `super::`, in `use` and in code. Comments, the
//! documentation and unit tests don't count.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

#[test]
fn every_part_is_on_the_plan() {
    let house = House::read();
    assert_eq!(house.not_on_the_plan(), Vec::<String>::new(), "on one of the two alone: src, the design page's plan");
}

#[test]
fn arrows_go_down() {
    let house = House::read();
    assert!(house.arrows.len() > 100, "only {} imports were found", house.arrows.len());
    let wrong = house.upward();
    assert!(wrong.is_empty(), "arrows that go up:\n{}", wrong.join("\n"));
}

#[test]
fn no_folders_in_a_circle() {
    let circles = House::read().circles();
    assert!(circles.is_empty(), "folders that import themselves by way of others:\n{}", circles.join("\n"));
}

/// What is longer than [`FILE`] and [`FUNCTION`] allow, and why.
const LONGER: [(&str, &str); 7] = [
    ("error/variants.rs", "one enum, which users match"),
    ("formats/error.rs", "one list: all that can be wrong with a file"),
    ("cells/lstm.rs", "a cell is one file: its equations, options and weights, forward and backward side by side"),
    ("cells/built_in.rs: cell_methods", "a list of the methods that all built-in cells have"),
    ("kernels/compiled.rs: entries", "a list of the entries that are compiled for each element type"),
    ("kernels/lanes.rs: lanes", "a list of the operations on a vector"),
    ("training/optimizers/common_options.rs: common_options", "a list of the methods that all optimizers have"),
];
/// The lines of a file, and those of a function from its name to its last brace.
const FILE: usize = 400;
const FUNCTION: usize = 60;

#[test]
fn files_and_functions_are_short() {
    let files = read_all();
    let long = too_long(files.iter().map(|(path, text)| (&**path, &**text)));
    let listed: BTreeSet<_> = LONGER.iter().map(|(place, _)| place.to_string()).collect();
    let places: BTreeSet<_> = long.iter().map(|(place, _)| place.clone()).collect();
    let new: Vec<_> = long.iter().filter(|(place, _)| !listed.contains(place)).collect();
    assert!(new.is_empty(), "too long: split them, or say on the list above why not: {new:?}");
    let gone: Vec<_> = listed.difference(&places).collect();
    assert!(gone.is_empty(), "short by now, so not to be on the list: {gone:?}");
}

#[test]
fn traps_are_named() {
    let files = read_all();
    let kernels: Vec<_> = files.iter().filter(|(path, _)| path.starts_with("kernels/")).collect();
    let (page, others): (Vec<_>, Vec<_>) = kernels.into_iter().partition(|(path, _)| path == "kernels/mod.rs");
    let (_, traps) = page[0].1.split_once("//! # Traps").expect("the section on traps");
    let traps = traps.lines().filter_map(|line| line.strip_prefix("//! ")?.split_once(". ")?.0.parse().ok());
    let traps: BTreeSet<usize> = traps.collect();
    assert!(traps.len() > 5 && traps.iter().copied().eq(1..=traps.len()), "{traps:?}");
    let number = |text: &str| text.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok();
    let named = others.iter().flat_map(|(_, text)| text.split("Trap ").skip(1).filter_map(number));
    assert_eq!(named.collect::<BTreeSet<usize>>(), traps, "traps that lines name, and those of kernels/mod.rs");
}

/// The test of lengths can fail, and takes nothing for longer than it is.
#[test]
fn long_ones_are_found() {
    let of_lines = |first: &str, count: usize, indent: &str| {
        format!("{indent}{first} {{\n{}{indent}}}\n", format!("{indent}    let _ = 0;\n").repeat(count - 2))
    };
    let found = |text: &str| too_long([("attic.rs", text)]);
    let long = |place: &str, lines: usize| vec![(place.to_string(), lines)];
    assert_eq!(found(&of_lines("fn stairs()", FUNCTION, "")), []);
    for first in
        ["fn stairs()", "pub fn stairs<T>(x: T)", "pub(in crate::roof) const fn stairs()", "macro_rules! stairs"]
    {
        assert_eq!(found(&of_lines(first, FUNCTION + 1, "")), long("attic.rs: stairs", FUNCTION + 1), "{first}");
    }
    let inside = format!("impl Attic {{\n{}}}\n", of_lines("fn stairs(", FUNCTION + 5, "    "));
    assert_eq!(found(&inside), long("attic.rs: stairs", FUNCTION + 5));
    let late = of_lines("fn stairs(\n    steps: usize,\n) -> usize", FUNCTION, ""); // two lines more
    assert_eq!(found(&late), long("attic.rs: stairs", FUNCTION + 2));
    // A declaration, and a function of one line, end before what follows them.
    let body = "    let _ = 0;\n".repeat(FUNCTION);
    for first in ["fn door(&self);", "fn door(\n        &self,\n    ) -> bool;", "fn door(&self) -> bool { true } // a"]
    {
        assert_eq!(found(&format!("trait Attic {{\n    {first}\n{body}}}\n")), [], "{first}");
    }
    assert_eq!(found(&"// dust\n".repeat(FILE)), []);
    assert_eq!(found(&"// dust\n".repeat(FILE + 1)), long("attic.rs", FILE + 1));
    assert_eq!(found(&format!("/// {}", of_lines("fn stairs()", FUNCTION + 1, ""))), []);
}

/// The tests of arrows can fail: a small house with each fault.
#[test]
fn faults_are_found() {
    let page = "//! # The parts\n//!\n//! ```text\n//! roof  what is above\n//! hall stairs  in the middle\n//! cellar  \
                what is below\n//! ```\n";
    let front = "mod roof;\npub use roof::chimney::Smoke;\npub use cellar::{Wine, shelf::Jam};\n";
    let house = |files: &[(&str, &str)]| House::new(page, front, files);
    let good = [
        ("roof/mod.rs", "use crate::hall::Carpet;\nuse self::chimney::Smoke;"),
        ("roof/chimney.rs", "use super::Tile;\nuse crate::{Wine, stairs::{Step, Rail}}; // crate::attic"),
        ("hall.rs", "use crate::stairs::Step;\n#[cfg(test)]\nmod tests {\nuse crate::roof::Tile;\n}\n"),
        ("stairs/mod.rs", "fn wine() -> crate::cellar::Wine { super::cellar::shelf::Jam }"),
        ("cellar/mod.rs", "use shelf::Jam;\n/// crate::roof\npub struct Wine;"),
        ("cellar/shelf.rs", ""),
    ];
    let same = house(&good);
    assert_eq!(same.not_on_the_plan(), Vec::<String>::new());
    assert_eq!(same.upward(), Vec::<String>::new());
    assert_eq!(same.circles(), Vec::<String>::new());

    let with = |path: &'static str, text: &'static str| {
        let others = good.iter().copied().filter(|(other, _)| *other != path);
        house(&others.chain([(path, text)]).collect::<Vec<_>>())
    };
    assert_eq!(with("garage.rs", "").not_on_the_plan(), ["garage"]);
    assert_eq!(house(&good[1..5]).not_on_the_plan(), Vec::<String>::new());
    assert_eq!(house(&good[..4]).not_on_the_plan(), ["cellar"]);
    // An arrow up: by the path, by a name of the crate's root, by way of `super`.
    assert_eq!(with("cellar/shelf.rs", "use crate::hall::Carpet;").upward(), ["cellar::shelf imports hall"]);
    assert_eq!(with("cellar/shelf.rs", "fn f(_: crate::Smoke) {}").upward(), ["cellar::shelf imports roof::chimney"]);
    assert_eq!(with("cellar/shelf.rs", "use super::super::roof::Tile;").upward(), ["cellar::shelf imports roof"]);
    assert_eq!(with("cellar/mod.rs", "use super::{stairs::Step};").upward(), ["cellar imports stairs"]);
    // A circle on one floor, where no arrow goes up, and one between folders of one part.
    let circle = with("stairs/mod.rs", "use crate::hall::Carpet;");
    assert_eq!(circle.upward(), Vec::<String>::new());
    assert_eq!(circle.circles(), ["hall, stairs"]);
    let within = [("roof/a/mod.rs", "use crate::roof::b::B;"), ("roof/b/mod.rs", "use super::a::A;")];
    assert_eq!(house(&[&good[..], &within].concat()).circles(), ["roof::a, roof::b"]);
}

/// A source file: its module path, `runner::backward::by_row`, and its text without comments and tests.
struct Source {
    module: Vec<String>,
    is_folder: bool,
    text: String,
}

struct House {
    /// The floor of each part: lines of the design page's plan, counted from the top.
    plan: BTreeMap<String, usize>,
    sources: Vec<Source>,
    /// Who imports whom, as places in `sources`.
    arrows: BTreeSet<(usize, usize)>,
}

impl House {
    fn read() -> Self {
        let files = read_all();
        let text = |name: &str| files.iter().find(|(path, _)| path == name).map_or("", |(_, text)| text);
        let of_house = |path: &str| !path.split('/').any(|part| ["tests", "tests.rs"].contains(&part));
        let of_house = |path: &str| of_house(path) && path != "lib.rs" && path != "design.rs";
        let house = files.iter().filter(|(path, _)| of_house(path)).map(|(path, text)| (&**path, &**text));
        House::new(text("design.rs"), text("lib.rs"), &house.collect::<Vec<_>>())
    }

    /// Of the design page, the front page, and all other files by their paths in `src`.
    fn new(page: &str, front: &str, files: &[(&str, &str)]) -> Self {
        let sources: Vec<_> = files.iter().map(|(path, text)| Source::new(path, text)).collect();
        let arrows = arrows(&sources, &exported(front));
        House { plan: plan(page), sources, arrows }
    }

    fn not_on_the_plan(&self) -> Vec<String> {
        let parts: BTreeSet<&String> = self.sources.iter().filter_map(|source| source.module.first()).collect();
        let planned: BTreeSet<&String> = self.plan.keys().collect();
        parts.symmetric_difference(&planned).map(|part| part.to_string()).collect()
    }

    fn upward(&self) -> Vec<String> {
        let floor = |source: &Source| self.plan.get(&source.module[0]);
        let pairs = self.arrows.iter().map(|&(from, to)| (&self.sources[from], &self.sources[to]));
        let wrong = pairs.filter(|(from, to)| floor(from).zip(floor(to)).is_some_and(|(from, to)| from > to));
        wrong.map(|(from, to)| format!("{} imports {}", from.path(), to.path())).collect()
    }

    /// The folders of each circle. A folder and what is inside it may know each other.
    fn circles(&self) -> Vec<String> {
        let mut folders = Folders::new();
        for &(from, to) in &self.arrows {
            let (from, to) = (self.sources[from].folder(), self.sources[to].folder());
            let within = |inner: &str, outer: &str| inner == outer || inner.starts_with(&format!("{outer}::"));
            if !within(&from, &to) && !within(&to, &from) {
                folders.entry(from).or_default().insert(to);
            }
        }
        let reached: BTreeMap<&String, BTreeSet<&String>> =
            folders.keys().map(|start| (start, reached(&folders, start))).collect();
        let mutual = |a: &String, b: &String| reached.get(a).is_some_and(|all| all.contains(b));
        let circle = |start: &&String| {
            let others = reached.keys().filter(|other| mutual(start, other) && mutual(other, start));
            others.map(|other| other.as_str()).collect::<Vec<_>>().join(", ")
        };
        let circles: BTreeSet<String> = reached.keys().map(circle).filter(|circle| !circle.is_empty()).collect();
        circles.into_iter().collect()
    }
}

type Folders = BTreeMap<String, BTreeSet<String>>;

/// All that a folder imports, by way of others too.
fn reached<'f>(folders: &'f Folders, start: &'f String) -> BTreeSet<&'f String> {
    let (mut seen, mut waiting) = (BTreeSet::new(), vec![start]);
    while let Some(at) = waiting.pop() {
        let next = folders.get(at).into_iter().flatten();
        waiting.extend(next.filter(|next| seen.insert(*next)));
    }
    seen
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        let mut module: Vec<String> = path.trim_end_matches(".rs").split('/').map(String::from).collect();
        let is_folder = module.pop_if(|last| last == "mod").is_some();
        Source { module, is_folder, text: without_tests(text) }
    }

    fn path(&self) -> String {
        self.module.join("::")
    }

    /// A file at the top is a folder of its own.
    fn folder(&self) -> String {
        let depth = self.module.len() - usize::from(!self.is_folder);
        self.module[..depth.max(1)].join("::")
    }
}

/// One line for each floor: the parts on it, two spaces, what they are.
fn plan(page: &str) -> BTreeMap<String, usize> {
    let lines = page.lines().map(|line| line.trim_start_matches("//!").trim());
    let lines = lines.skip_while(|line| !line.starts_with("# The parts")).skip_while(|line| *line != "```text").skip(1);
    let mut plan = BTreeMap::new();
    for (floor, line) in lines.take_while(|line| *line != "```").enumerate() {
        let (parts, _) = line.split_once("  ").expect("parts, then two spaces, then what they are");
        for part in parts.split(' ') {
            assert!(plan.insert(part.into(), floor).is_none(), "{part} is twice on the plan");
        }
    }
    plan
}

/// All files by their paths in `src`.
fn read_all() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let read = |path: &Path| fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut files = Vec::new();
    collect(&root, "", &mut files);
    files.into_iter().map(|name| (name.clone(), read(&root.join(name)))).collect()
}

fn collect(folder: &Path, prefix: &str, found: &mut Vec<String>) {
    let mut entries: Vec<_> =
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    entries.sort();
    for entry in entries {
        let name = entry.file_name().expect("a name").to_string_lossy().to_string();
        let path = format!("{prefix}{name}");
        if entry.is_dir() {
            collect(&entry, &format!("{path}/"), found);
        } else if name.ends_with(".rs") {
            found.push(path);
        }
    }
}

/// Files, and functions and macros as `path: name`, with more lines than they may have.
fn too_long<'f>(files: impl IntoIterator<Item = (&'f str, &'f str)>) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    for (path, text) in files {
        let lines: Vec<_> = text.lines().map(|line| line.split("//").next().unwrap_or_default().trim_end()).collect();
        found.extend(Some((path.to_string(), lines.len())).filter(|(_, count)| *count > FILE));
        for (start, line) in lines.iter().enumerate() {
            if let Some(name) = function(line.trim_start()) {
                let count = length(&lines[start..]);
                found.extend(Some((format!("{path}: {name}"), count)).filter(|(_, count)| *count > FUNCTION));
            }
        }
    }
    found
}

/// The name, if a function or macro begins in this line.
fn function(line: &str) -> Option<&str> {
    let line = line.strip_prefix("pub(").and_then(|rest| rest.split_once(") ")).map_or(line, |(_, rest)| rest);
    let before = ["pub", "const", "unsafe", "async", "extern", "\"C\""];
    let mut words = line.split(' ').skip_while(|word| before.contains(word));
    let (keyword, name) = (words.next()?, words.next()?);
    let name = name.split(|c: char| !c.is_alphanumeric() && c != '_').next()?;
    (["fn", "macro_rules!"].contains(&keyword) && !name.is_empty()).then_some(name)
}

/// The lines of a function, the first of these lines: to the brace that stands as far to the right as its name's line.
/// One without a body, or with one of a single line, ends where its head does.
fn length(lines: &[&str]) -> usize {
    let head = lines.iter().position(|line| line.ends_with(['{', ';', '}'])).unwrap_or(0);
    if !lines[head].ends_with('{') {
        return head + 1;
    }
    let last = format!("{}}}", &lines[0][..lines[0].len() - lines[0].trim_start().len()]);
    lines.iter().position(|line| **line == last).map_or(lines.len(), |end| end + 1)
}

fn without_tests(text: &str) -> String {
    let text = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

fn arrows(sources: &[Source], exported: &BTreeMap<String, Vec<String>>) -> BTreeSet<(usize, usize)> {
    let places: BTreeMap<String, usize> = sources.iter().enumerate().map(|(i, source)| (source.path(), i)).collect();
    let mut arrows = BTreeSet::new();
    for (from, source) in sources.iter().enumerate() {
        for mut target in imported(source) {
            if let Some(module) = target.first().and_then(|name| exported.get(name)) {
                target.splice(0..1, module.iter().cloned());
            }
            // The longest path that is a file.
            let to = (1..=target.len()).rev().find_map(|len| places.get(&target[..len].join("::")));
            if let Some(&to) = to.filter(|&&to| to != from) {
                arrows.insert((from, to));
            }
        }
    }
    arrows
}

/// The names at the crate's root and the modules that they come from.
fn exported(front: &str) -> BTreeMap<String, Vec<String>> {
    let front = without_tests(front);
    let mut names = BTreeMap::new();
    for statement in front.split(';').filter_map(|text| text.split_once("pub use ")).map(|(_, path)| path) {
        for path in expand(statement) {
            if let Some((name, module)) = path.split_last().filter(|(_, module)| !module.is_empty()) {
                names.insert(name.clone(), module.to_vec());
            }
        }
    }
    names
}

/// The paths that a file names, from the crate's root on.
fn imported(source: &Source) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for (keyword, start) in [("crate::", 0), ("super::", 1)] {
        for (at, _) in source.text.match_indices(keyword) {
            let before = source.text[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
                continue; // within a longer path: `super::super::` is counted from its beginning
            }
            let (mut rest, mut up) = (&source.text[at + keyword.len()..], start);
            while let Some(more) = rest.strip_prefix("super::") {
                (rest, up) = (more, up + 1);
            }
            let base = match up {
                0 => vec![],
                _ => source.module[..source.module.len().saturating_sub(up)].to_vec(),
            };
            for path in expand(rest) {
                found.push([base.clone(), path].concat());
            }
        }
    }
    found
}

/// `a::{b, c::d}` as `a::b` and `a::c::d`; it ends where the path does.
fn expand(text: &str) -> Vec<Vec<String>> {
    let text = text.trim_start();
    if let Some(inner) = text.strip_prefix('{') {
        let mut depth = 0;
        let mut items = vec![String::new()];
        for c in inner.chars() {
            match c {
                '}' if depth == 0 => break,
                ',' if depth == 0 => items.push(String::new()),
                _ => {
                    depth += i32::from(c == '{') - i32::from(c == '}');
                    items.last_mut().expect("one at least").push(c);
                }
            }
        }
        return items.iter().filter(|item| !item.trim().is_empty()).flat_map(|item| expand(item)).collect();
    }
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let name = text[..end].to_string();
    if name.is_empty() {
        return vec![vec![]];
    }
    match text[end..].strip_prefix("::") {
        Some(rest) => expand(rest).into_iter().map(|path| [vec![name.clone()], path].concat()).collect(),
        None => vec![vec![name]],
    }
}
