//! A home's author keys in their turn: the current one, the next one, to which the member has committed, and the one after
//! that, which a rotation commits to. Each step leaves the home usable, whenever it is interrupted.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use chorale_protocol::code::{AuthorKey, PublicKey};

use super::{
    Home,
    keys::{self, KeyError},
};

impl Home {
    /// The seed of the author key that is to follow the current one.
    #[must_use]
    pub fn next_key(&self) -> PathBuf {
        self.root().join("keys/next.key")
    }

    /// The seed of the author key after that; there once a rotation was prepared.
    #[must_use]
    pub fn following_key(&self) -> PathBuf {
        self.root().join("keys/following.key")
    }

    /// Every author key that is there, the current one first.
    ///
    /// # Errors
    /// The current one is absent, or one is readable by others or no key.
    pub fn signers(&self) -> Result<Vec<AuthorKey>, KeyError> {
        let mut all = vec![keys::author(&self.author_key())?];
        for path in [self.next_key(), self.following_key()] {
            if path.exists() {
                all.push(keys::author(&path)?);
            }
        }
        Ok(all)
    }

    /// The next key; it is made if there is none, as in a home of before there were next keys.
    ///
    /// # Errors
    /// The disk, or what is there is no key.
    pub fn next_author(&self) -> Result<AuthorKey, KeyError> {
        if !self.next_key().exists() && self.following_key().exists() {
            rename(&self.following_key(), &self.next_key())?;
        }
        there(&self.next_key())
    }

    /// The key after the next one; it is made if there is none.
    ///
    /// # Errors
    /// The disk, or what is there is no key.
    pub fn following_author(&self) -> Result<AuthorKey, KeyError> {
        there(&self.following_key())
    }

    /// Makes the next key the current one if it is the one `named` by the manifest. The old one stays beside it, as
    /// `author.key.<first 8 digits of its public key>`. Whether anything changed.
    ///
    /// # Errors
    /// The disk, or a file is no key. Whatever was done by then, calling it again goes on from there.
    pub fn take_up_key(&self, named: &PublicKey) -> Result<bool, KeyError> {
        let (old, next) = (keys::author(&self.author_key())?, self.next_author()?);
        if old.public() == *named || next.public() != *named {
            return Ok(false);
        }
        let aside = self.root().join(format!("keys/author.key.{}", &old.public().to_string()[..8]));
        match fs::hard_link(self.author_key(), &aside) {
            Err(source) if source.kind() != io::ErrorKind::AlreadyExists => return Err(wrap(&aside, source)),
            _ => sync(&aside)?,
        }
        rename(&self.next_key(), &self.author_key())?;
        self.next_author().map(|_| true)
    }
}

/// The key in this file, which is made if it is absent: under another name until it is whole.
fn there(path: &Path) -> Result<AuthorKey, KeyError> {
    if !path.exists() {
        let temp = path.with_extension("new");
        match fs::remove_file(&temp) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => return Err(wrap(&temp, source)),
            _ => keys::create(&temp)?,
        }
        rename(&temp, path)?;
    }
    keys::author(path)
}

fn rename(from: &Path, to: &Path) -> Result<(), KeyError> {
    fs::rename(from, to).map_err(|source| wrap(to, source))?;
    sync(to)
}

/// Makes the folder's entries durable.
fn sync(path: &Path) -> Result<(), KeyError> {
    let folder = path.parent().unwrap_or(path);
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|source| wrap(folder, source))
}

fn wrap(path: &Path, source: io::Error) -> KeyError {
    KeyError::Io { path: path.display().to_string(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(dir: &Path) -> Home {
        Home::create(&dir.join("home"), "").unwrap()
    }

    #[test]
    fn a_key_is_taken_up_once_named_and_the_old_one_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let home = home(dir.path());
        let (old, next) = (keys::author(&home.author_key()).unwrap().public(), home.next_author().unwrap().public());
        let following = home.following_author().unwrap().public();
        assert!(!home.take_up_key(&old).unwrap(), "the current one is named");
        assert!(!home.take_up_key(&following).unwrap(), "it is not its turn");
        assert!(home.take_up_key(&next).unwrap());
        assert!(!home.take_up_key(&next).unwrap(), "once");
        let now: Vec<PublicKey> = home.signers().unwrap().iter().map(AuthorKey::public).collect();
        assert_eq!(now, [next, following]);
        let aside = home.root().join(format!("keys/author.key.{}", &old.to_string()[..8]));
        assert_eq!(keys::author(&aside).unwrap().public(), old);
    }

    #[test]
    fn an_interrupted_turn_is_finished_by_the_next_one() {
        let dir = tempfile::tempdir().unwrap();
        let home = home(dir.path());
        let (old, next) = (keys::author(&home.author_key()).unwrap(), home.next_author().unwrap().public());
        // Interrupted after the old key was kept.
        let aside = home.root().join(format!("keys/author.key.{}", &old.public().to_string()[..8]));
        fs::hard_link(home.author_key(), &aside).unwrap();
        assert!(home.take_up_key(&next).unwrap());
        // Interrupted before there was a next key again.
        fs::remove_file(home.next_key()).unwrap();
        fs::write(home.next_key().with_extension("new"), "half").unwrap();
        assert!(!home.take_up_key(&next).unwrap());
        assert_ne!(home.next_author().unwrap().public(), next);
    }

    #[test]
    fn a_home_of_before_gets_its_next_key_when_it_is_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let home = home(dir.path());
        fs::remove_file(home.next_key()).unwrap();
        assert_eq!(home.signers().unwrap().len(), 1);
        let made = home.next_author().unwrap().public();
        assert_eq!(home.next_author().unwrap().public(), made);
    }
}
