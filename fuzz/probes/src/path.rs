//! Store paths, hashes, content addresses, versions: every text form reads back as what it was written
//! from, and orders are orders.

use std::cmp::Ordering;

use floe_core::base32;
use floe_core::ca::{ContentAddress, Method};
use floe_core::hash::{Digest, Hash, HashAlgo};
use floe_core::path::{OutputName, StorePath};
use floe_core::placeholder;
use floe_lang::text::version;

/// Reads the bytes as each of the small texts that name things.
pub fn check(data: &[u8]) {
    check_versions(data);
    let Ok(text) = std::str::from_utf8(data) else { return };
    check_paths(text);
    check_hashes(text);
    check_addresses(text);
    if let Ok(bytes) = base32::decode(text) {
        let written = base32::encode(&bytes);
        if text.len() == base32::encoded_len(bytes.len()) {
            assert_eq!(written, text);
        }
        assert_eq!(base32::decode(&written).as_deref(), Ok(&bytes[..]));
    }
}

fn check_paths(text: &str) {
    if let Ok(path) = StorePath::parse(text) {
        assert_eq!(path.as_str(), text);
        assert_eq!(StorePath::from_base_name(path.base_name()).as_ref(), Ok(&path));
        assert_eq!(StorePath::new(&path.digest(), path.name()).as_ref(), Ok(&path));
        if let Ok(output) = OutputName::new(path.name()) {
            let _ = placeholder::upstream(&path, &output);
        }
    }
    if let Ok(path) = StorePath::from_base_name(text) {
        assert_eq!(path.base_name(), text);
        assert_eq!(StorePath::parse(path.as_str()).as_ref(), Ok(&path));
    }
    if let Ok((path, rest)) = StorePath::parse_prefix(text) {
        assert_eq!(format!("{path}{rest}"), text);
        assert!(rest.is_empty() || rest.starts_with('/'));
    }
}

fn check_hashes(text: &str) {
    for algo in HashAlgo::ALL.map(Some).into_iter().chain([None]) {
        let Ok(hash) = Hash::parse(text, algo) else { continue };
        assert!(algo.is_none_or(|algo| algo == hash.algo()));
        for written in [hash.to_string(), hash.sri()] {
            assert_eq!(Hash::parse(&written, None).as_ref(), Ok(&hash), "{written}");
        }
        for written in [hash.base16(), hash.base32(), hash.base64()] {
            assert_eq!(Hash::parse(&written, Some(hash.algo())).as_ref(), Ok(&hash), "{written}");
            assert_eq!(Hash::parse_digits(&written, hash.algo()).as_ref(), Ok(&hash), "{written}");
        }
    }
    if let Some(digest) = Digest::parse(text) {
        assert_eq!(digest.base16(), text.to_ascii_lowercase());
    }
}

fn check_addresses(text: &str) {
    if let Ok(address) = ContentAddress::parse(text) {
        let written = address.to_string();
        assert_eq!(ContentAddress::parse(&written).as_ref(), Ok(&address), "{written}");
    }
    if let Ok((method, algo)) = Method::parse_with_algo(text) {
        assert_eq!(format!("{}{algo}", method.prefix()), text);
    }
}

fn check_versions(data: &[u8]) {
    let mut parts = data.splitn(3, |byte| *byte == b'\n');
    let mut part = || parts.next().unwrap_or_default();
    let (a, b, c) = (part(), part(), part());
    assert_eq!(version::compare(a, b), version::compare(b, a).reverse());
    assert_eq!(version::compare(a, a), Ordering::Equal);
    let _ = version::compare(a, c);
    let components: usize = version::split(data).map(<[u8]>::len).sum();
    assert!(components <= data.len());
    let (name, rest) = version::parse_drv_name(data);
    assert!(data.starts_with(name) && data.ends_with(rest));
}
