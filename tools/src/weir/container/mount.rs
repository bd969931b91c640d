//! What a container has mounted, as users of docker write it: `data:/data`, `/srv/data:/data:ro`, `data:/data:size=1g`.

use weir_api::v1::Mount;

use super::amount;

/// Reads `--volume`: what begins with `/` is a folder of the node, all else a volume's name.
pub(super) fn read(text: &str) -> Result<Mount, String> {
    let expected = || {
        "expected NAME:/PATH or /DIR:/PATH, and after another ':' perhaps 'ro' or, for a volume that is made, 'size=BYTES'"
            .to_owned()
    };
    let mut parts = text.splitn(3, ':');
    let (Some(source), Some(path), options) = (parts.next(), parts.next(), parts.next()) else {
        return Err(expected());
    };
    if source.is_empty() || !path.starts_with('/') {
        return Err(expected());
    }
    let (volume, host_path) = if source.starts_with('/') { ("", source) } else { (source, "") };
    let mut mount = Mount {
        volume: volume.to_owned(),
        host_path: host_path.to_owned(),
        path: path.to_owned(),
        ..Mount::default()
    };
    for option in options.iter().flat_map(|options| options.split(',')) {
        match option.split_once('=') {
            None if option == "ro" => mount.read_only = true,
            None if option == "rw" => {}
            Some(("size", size)) => mount.size_bytes = amount::memory(size)?,
            _ => return Err(expected()),
        }
    }
    Ok(mount)
}

/// A mount as [`read`] takes it.
pub(super) fn text(mount: &Mount) -> String {
    let source = if mount.host_path.is_empty() { &mount.volume } else { &mount.host_path };
    let size = (mount.size_bytes > 0).then(|| format!("size={}", mount.size_bytes));
    let options: Vec<String> = mount.read_only.then(|| "ro".to_owned()).into_iter().chain(size).collect();
    let colon = if options.is_empty() { "" } else { ":" };
    format!("{source}:{}{colon}{}", mount.path, options.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_read_and_written_as_docker_has_it() {
        for is in ["data:/data", "/srv/a:/in:ro", "data:/data:size=1073741824", "data:/data:ro,size=5"] {
            assert_eq!(text(&read(is).unwrap()), is);
        }
        assert_eq!(read("data:/data:size=1g,rw").unwrap().size_bytes, 1 << 30);
        assert_eq!(read("/srv:/in").unwrap().volume, "");
        for bad in ["data", ":/data", "data:data", "data:", "data:/data:", "data:/d:x", "data:/d:size=0"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
