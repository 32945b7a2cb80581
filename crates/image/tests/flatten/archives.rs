//! Tars as tests want them, hostile ones included: nothing is checked.

/// A tar being written.
#[derive(Clone, Default)]
pub(crate) struct Tar {
    bytes: Vec<u8>,
    records: Vec<u8>,
    permissions: Option<u32>,
    owner: (u64, u64),
    mtime: u64,
}

impl Tar {
    pub(crate) fn new() -> Self {
        Tar::default()
    }

    /// A PAX record for the next entry.
    pub(crate) fn pax(mut self, key: &str, value: impl AsRef<[u8]>) -> Self {
        let value = value.as_ref();
        let rest = key.len() + value.len() + 3;
        let mut length = rest + 1;
        while length != rest + length.to_string().len() {
            length = rest + length.to_string().len();
        }
        self.records.extend_from_slice(format!("{length} {key}=").as_bytes());
        self.records.extend_from_slice(value);
        self.records.push(b'\n');
        self
    }

    /// Mode of the next entry.
    pub(crate) fn mode(mut self, permissions: u32) -> Self {
        self.permissions = Some(permissions);
        self
    }

    /// Owner of the next entry.
    pub(crate) fn owner(mut self, uid: u64, gid: u64) -> Self {
        self.owner = (uid, gid);
        self
    }

    /// Time of the next entry.
    pub(crate) fn mtime(mut self, seconds: u64) -> Self {
        self.mtime = seconds;
        self
    }

    pub(crate) fn directory(self, path: impl AsRef<[u8]>) -> Self {
        self.entry(b'5', path.as_ref(), b"", b"")
    }

    pub(crate) fn file(self, path: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Self {
        self.entry(b'0', path.as_ref(), b"", content.as_ref())
    }

    pub(crate) fn symlink(self, path: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        self.entry(b'2', path.as_ref(), target.as_ref(), b"")
    }

    pub(crate) fn hard_link(self, path: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        self.entry(b'1', path.as_ref(), target.as_ref(), b"")
    }

    /// An entry of any type; long names as GNU tar writes them.
    pub(crate) fn entry(mut self, kind: u8, path: &[u8], target: &[u8], content: &[u8]) -> Self {
        if !self.records.is_empty() {
            let records = std::mem::take(&mut self.records);
            self.raw(b'x', b"pax", b"", &records, records.len() as u64);
        }
        for (kind, long) in [(b'L', path), (b'K', target)] {
            if long.len() > 100 {
                self.raw(kind, b"././@LongLink", b"", long, long.len() as u64);
            }
        }
        self.raw(kind, path, target, content, content.len() as u64);
        self.permissions = None;
        self.owner = (0, 0);
        self.mtime = 0;
        self
    }

    /// Header and content, whatever is said of its size.
    pub(crate) fn raw(&mut self, kind: u8, path: &[u8], target: &[u8], content: &[u8], said_bytes: u64) {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::new(kind));
        header.set_size(said_bytes);
        header.set_mode(self.permissions.unwrap_or(if kind == b'5' { 0o755 } else { 0o644 }));
        header.set_uid(self.owner.0);
        header.set_gid(self.owner.1);
        header.set_mtime(self.mtime);
        let fields = header.as_old_mut();
        fields.name[..path.len().min(100)].copy_from_slice(&path[..path.len().min(100)]);
        fields.linkname[..target.len().min(100)].copy_from_slice(&target[..target.len().min(100)]);
        header.set_cksum();
        self.bytes.extend_from_slice(header.as_bytes());
        self.bytes.extend_from_slice(content);
        self.bytes.resize(self.bytes.len().next_multiple_of(512), 0);
    }

    /// Bytes that are no entry.
    pub(crate) fn append(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// The archive as it is, without an end.
    pub(crate) fn unfinished(self) -> Vec<u8> {
        self.bytes
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.bytes.resize(self.bytes.len() + 1024, 0);
        self.bytes
    }
}
