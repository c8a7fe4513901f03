//! A document of a camera: what is read is bounded, and the same after being written and read again.
#![no_main]

use ivt_hal::xml::{Element, Limits, Node, parse};
use libfuzzer_sys::fuzz_target;

const LIMITS: Limits = Limits { bytes: 3000, depth: 8, nodes: 64, attributes: 8, text: 200 };
/// What was read once may be longer when it is written, as characters are escaped.
const WRITTEN: Limits = Limits { bytes: 100_000, ..LIMITS };

fuzz_target!(|document: &[u8]| {
    let root = match parse(document, &LIMITS) {
        Ok(root) => root,
        Err(error) => {
            let text = error.to_string();
            assert!(text.len() < 10_000, "{text:?}");
            return;
        }
    };
    let mut nodes = 0;
    check(&root, 1, &mut nodes);
    assert!(nodes <= LIMITS.nodes);
    let written = root.to_document();
    assert_eq!(parse(written.as_bytes(), &WRITTEN).as_ref(), Ok(&root), "{written}");
});

fn check(element: &Element, depth: usize, nodes: &mut usize) {
    assert!(depth <= LIMITS.depth);
    assert!(element.attributes.len() <= LIMITS.attributes);
    *nodes += 1 + element.attributes.len();
    let values = element.attributes.iter().flat_map(|(name, value)| [name, value]);
    assert!(values.chain([&element.name]).all(|text| text.len() <= LIMITS.text));
    assert_eq!(element.find(""), Some(element));
    assert!(element.exact_text().trim().len() >= element.text().len());
    let mut is_text = false;
    for node in &element.nodes {
        match node {
            Node::Element(inner) => {
                check(inner, depth + 1, nodes);
                assert!(element.child(inner.local_name()).is_some());
                assert!(element.descendant(inner.local_name()).is_some());
                is_text = false;
            }
            Node::Text(text) => {
                assert!(!is_text && !text.is_empty() && text.len() <= LIMITS.text);
                is_text = true;
            }
        }
    }
}
