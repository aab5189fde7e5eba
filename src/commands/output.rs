//! Where a long answer goes: standard output, or a file that is there once it is whole.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use flate2::Compression;
use flate2::write::GzEncoder;

const BUFFER: usize = 1 << 16;

/// An answer on its way out. One that is dropped before it is finished leaves no file.
pub struct Output {
    sink: Option<Sink>,
    files: Option<Files>,
}

enum Sink {
    Stdout(BufWriter<Stdout>),
    Plain(BufWriter<File>),
    Packed(GzEncoder<BufWriter<File>>),
}

/// Where the answer is to be, and where it grows until then: beside it, so that a rename moves it there at once.
struct Files {
    target: PathBuf,
    growing: PathBuf,
}

impl Output {
    /// Goes to a file, packed if its name ends with `.gz`; to standard output without one.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn open(target: Option<&Path>) -> anyhow::Result<Output> {
        let Some(target) = target else {
            let sink = Sink::Stdout(BufWriter::with_capacity(BUFFER, io::stdout()));
            return Ok(Output { sink: Some(sink), files: None });
        };
        let name = target.file_name().filter(|_| !target.is_dir());
        let name = name.with_context(|| format!("`{}` is a folder, expected a file", target.display()))?;
        // The process's number keeps two exports to one file apart.
        let mut growing = name.to_owned();
        growing.push(format!(".{}.part", std::process::id()));
        let files = Files { target: target.to_owned(), growing: target.with_file_name(growing) };
        let file = File::create(&files.growing).with_context(|| format!("cannot make `{}`", target.display()))?;
        let file = BufWriter::with_capacity(BUFFER, file);
        let is_packed = target.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gz"));
        let sink = match is_packed {
            true => Sink::Packed(GzEncoder::new(file, Compression::default())),
            false => Sink::Plain(file),
        };
        Ok(Output { sink: Some(sink), files: Some(files) })
    }

    /// Whether a person watches the answer itself pass by.
    pub fn is_terminal(&self) -> bool {
        self.files.is_none() && io::stdout().is_terminal()
    }

    /// Writes what is left, and puts the file in its place.
    ///
    /// # Errors
    /// What is left cannot be written, or the file cannot be moved.
    pub fn finish(mut self) -> io::Result<()> {
        let file = match self.sink.take() {
            None => return Ok(()),
            Some(Sink::Stdout(mut out)) => return out.flush(),
            Some(Sink::Plain(file)) => file,
            Some(Sink::Packed(packed)) => packed.finish()?,
        };
        file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        if let Some(files) = &self.files {
            std::fs::rename(&files.growing, &files.target)?;
        }
        self.files = None;
        Ok(())
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.sink {
            Some(Sink::Stdout(out)) => out.write(bytes),
            Some(Sink::Plain(file)) => file.write(bytes),
            Some(Sink::Packed(packed)) => packed.write(bytes),
            None => Ok(bytes.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.sink {
            Some(Sink::Stdout(out)) => out.flush(),
            Some(Sink::Plain(file)) => file.flush(),
            Some(Sink::Packed(packed)) => packed.flush(),
            None => Ok(()),
        }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Some(files) = &self.files {
            // Nobody is helped by an error about a file that nobody wanted.
            let _ = std::fs::remove_file(&files.growing);
        }
    }
}
