//! From plaintext to a chunk.

use super::key::{ChunkKey, Domain, Salt};
use super::{CHUNK_BYTES, VerifiedChunk};

/// A chunk, and what opens it.
#[derive(Clone, Debug)]
pub struct Sealed {
    /// What is stored.
    pub chunk: VerifiedChunk,
    /// What the image keeps for itself.
    pub key: ChunkKey,
}

/// Seals a slot; `None` if there is nothing in it but zeros, which is not stored.
///
/// # Panics
///
/// If there is more than a slot.
pub fn seal(plaintext: &[u8], salt: &Salt, domain: &Domain) -> Option<Sealed> {
    assert!(plaintext.len() <= CHUNK_BYTES as usize, "{} bytes are more than a slot", plaintext.len());
    // What follows the last byte that is not zero says nothing: it is not stored, and makes no difference.
    let end = plaintext.iter().rposition(|byte| *byte != 0)? + 1;
    let plaintext = &plaintext[..end];
    let key = ChunkKey::derive(plaintext, salt, domain);
    let mut ciphertext = plaintext.to_vec();
    key.encrypt(&mut ciphertext);
    Some(Sealed { chunk: VerifiedChunk::new(ciphertext.into()), key })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn salt() -> Salt {
        Salt::from_bytes([7; 32])
    }

    #[test]
    fn zeros_are_not_stored() {
        assert!(seal(&[], &salt(), &Domain::Deployment).is_none());
        assert!(seal(&vec![0; CHUNK_BYTES as usize], &salt(), &Domain::Deployment).is_none());
    }

    /// Whoever changes this makes everything that is stored unreadable, or stored twice. Another implementation of HKDF, AES and
    /// BLAKE3 gave the same name.
    #[test]
    fn the_derivation_stays_as_it_is() {
        let sealed = seal(b"firesteel\0\0", &salt(), &Domain::Deployment).unwrap();
        assert_eq!(sealed.chunk.reference().stored_bytes, 9);
        assert_eq!(
            sealed.chunk.reference().id.to_string(),
            "ccf2f18582296583030ade678a50919389634e21cd3d618fb865d3540f34c8d6"
        );
    }

    #[test]
    fn other_salts_and_domains_give_other_chunks() {
        let private = Domain::Private([1; 32]);
        let named = |name: &str| Domain::Tenant(name.to_owned());
        let other_salt = Salt::from_bytes([8; 32]);
        let of = |salt: &Salt, domain: &Domain| seal(b"same", salt, domain).unwrap().chunk.reference().id;
        let ids = std::collections::BTreeSet::from([
            of(&salt(), &Domain::Deployment),
            of(&salt(), &named("")),
            of(&salt(), &named("a")),
            of(&salt(), &private),
            of(&other_salt, &Domain::Deployment),
        ]);
        assert_eq!(ids.len(), 5);
        assert_eq!(of(&salt(), &private), of(&salt(), &private.clone()));
    }

    proptest! {
        #[test]
        fn what_is_sealed_is_opened_in_any_part(
            plaintext in proptest::collection::vec(any::<u8>(), 0..3000),
            zeros in 0_usize..100,
            start in 0_u32..4000,
            length in 0_u32..4000,
        ) {
            let padded = [plaintext, vec![0; zeros]].concat();
            let Some(sealed) = seal(&padded, &salt(), &Domain::Deployment) else {
                prop_assert!(padded.iter().all(|byte| *byte == 0));
                return Ok(());
            };
            let again = VerifiedChunk::verify(sealed.chunk.reference(), sealed.chunk.ciphertext().clone()).unwrap();
            let whole = [padded, vec![0; 8000]].concat();
            let (from, to) = (start as usize, (start + length) as usize);
            prop_assert_eq!(&again.open(&sealed.key, start..start + length)[..], &whole[from..to]);
        }
    }
}
