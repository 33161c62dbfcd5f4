//! Paths as the pipeline file writes them: relative to the project's root, and inside it.

use std::path::{Component, Path, PathBuf};

use crate::problem::{Code, Location, Problem, Problems};

/// Normalises a path lexically, without `.` and `..`; `None` when it leaves the project. Symlinks inside the
/// project may point anywhere, because creating one is deliberate and `../..` may be an accident.
pub(super) fn inside(path: &Path) -> Option<PathBuf> {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::CurDir => {}
            Component::ParentDir if clean.pop() => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(clean)
}

/// [`inside`], which reports the problem.
pub(super) fn expect_inside(path: &str, place: &Location, problems: &mut Problems) -> Option<PathBuf> {
    let clean = inside(Path::new(path));
    if clean.is_none() {
        problems.push(outside(path, place).help("write a path below the project's folder"));
    }
    clean
}

/// [`expect_inside`] for sources, with the help to symlink them into the project.
pub(super) fn expect_linked(path: &str, place: &Location, problems: &mut Problems) -> Option<PathBuf> {
    let clean = inside(Path::new(path));
    if clean.is_none() {
        let name = Path::new(path).file_name().unwrap_or("x".as_ref()).to_string_lossy();
        // A relative symlink is relative to its folder.
        let target = if path.starts_with('/') { path.to_owned() } else { format!("../{path}") };
        problems.push(outside(path, place).help(format!(
            "link it into the project: `ln -s {target} data/{name}`, and write `path = \"data/{name}\"`"
        )));
    }
    clean
}

fn outside(path: &str, place: &Location) -> Problem {
    Problem::new(Code::OutsideProject, format!("`{path}` leaves the project"))
        .at(place, "outside of the project")
}

/// A path for messages; the project's root is `.`.
pub(super) fn shown(path: &Path) -> String {
    if path.as_os_str().is_empty() { ".".to_owned() } else { path.display().to_string() }
}

/// Whether the paths are equal, or one contains the other.
pub(super) fn overlap(a: &Path, b: &Path) -> bool {
    a.starts_with(b) || b.starts_with(a)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_may_go_up_as_far_as_it_went_down() {
        assert_eq!(inside(Path::new("./a/../b//c/")), Some(PathBuf::from("b/c")));
        assert_eq!(inside(Path::new("a/../../b")), None);
        assert_eq!(inside(Path::new("/a")), None);
    }

    #[test]
    fn a_longer_name_is_not_inside() {
        assert!(overlap(Path::new("a/b"), Path::new("a")));
        assert!(!overlap(Path::new("a/bc"), Path::new("a/b")));
    }
}
