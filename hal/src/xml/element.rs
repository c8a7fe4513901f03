//! One element of a document, and what is in it.

/// An element. Every name that is looked up is a local one, without a prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element {
    /// The name with its prefix, such as `tds:Model`.
    pub name: String,
    /// Names, with their prefixes, and values; declarations of namespaces are among them.
    pub attributes: Vec<(String, String)>,
    /// What is inside, in order.
    pub nodes: Vec<Node>,
}

/// A piece of what is inside an element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// An element.
    Element(Element),
    /// Text as it was meant, with the white space around it. No two texts stand side by side.
    Text(String),
}

impl Element {
    /// An empty element of this name, which may have a prefix.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// An element of this name with a text.
    pub fn with_text(name: impl Into<String>, text: &str) -> Self {
        let mut element = Self::new(name);
        element.set_text(text);
        element
    }

    /// The name without its prefix.
    pub fn local_name(&self) -> &str {
        local(&self.name)
    }

    /// The elements inside, in order.
    pub fn elements(&self) -> impl Iterator<Item = &Self> {
        self.nodes.iter().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    /// The elements inside, in order, to be changed.
    pub fn elements_mut(&mut self) -> impl Iterator<Item = &mut Self> {
        self.nodes.iter_mut().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    /// The elements inside that have this name, in order.
    pub fn children<'a, 'n>(
        &'a self,
        name: &'n str,
    ) -> impl Iterator<Item = &'a Self> + use<'a, 'n> {
        self.elements().filter(move |element| element.local_name() == name)
    }

    /// The first element inside that has this name.
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.elements().find(|element| element.local_name() == name)
    }

    /// The first element inside that has this name, to be changed.
    pub fn child_mut(&mut self, name: &str) -> Option<&mut Self> {
        self.elements_mut().find(|element| element.local_name() == name)
    }

    /// The first element at a path of names, such as `Body/GetProfilesResponse`, which begins inside this element.
    /// The empty path is this element. Where several elements have a name of the path, all of them are searched.
    pub fn find(&self, path: &str) -> Option<&Self> {
        match path.split_once('/') {
            _ if path.is_empty() => Some(self),
            None => self.child(path),
            Some((first, rest)) => self.children(first).find_map(|child| child.find(rest)),
        }
    }

    /// As [`find`](Self::find), to be changed.
    pub fn find_mut(&mut self, path: &str) -> Option<&mut Self> {
        match path.split_once('/') {
            _ if path.is_empty() => Some(self),
            None => self.child_mut(path),
            Some((first, rest)) => {
                let named = self.elements_mut().filter(|element| element.local_name() == first);
                named.filter_map(|child| child.find_mut(rest)).next()
            }
        }
    }

    /// Every element at a path of names, in order.
    pub fn find_all(&self, path: &str) -> Vec<&Self> {
        let mut found = vec![self];
        for name in path.split('/').filter(|name| !name.is_empty()) {
            found = found.into_iter().flat_map(|element| element.children(name)).collect();
        }
        found
    }

    /// The first element of this name at any depth, in the order of the document; this element is the first.
    pub fn descendant(&self, name: &str) -> Option<&Self> {
        if self.local_name() == name {
            return Some(self);
        }
        self.elements().find_map(|element| element.descendant(name))
    }

    /// The first text inside that is not blank, without the white space around it; empty where there is none.
    pub fn text(&self) -> &str {
        let mut texts = self.nodes.iter().filter_map(|node| match node {
            Node::Text(text) => Some(text.trim()),
            Node::Element(_) => None,
        });
        texts.find(|text| !text.is_empty()).unwrap_or_default()
    }

    /// All text inside, with the white space around it, without that of elements inside.
    pub fn exact_text(&self) -> String {
        let texts = self.nodes.iter().filter_map(|node| match node {
            Node::Text(text) => Some(&**text),
            Node::Element(_) => None,
        });
        texts.collect()
    }

    /// The text of the first element at a path, as [`text`](Self::text); empty where there is no such element.
    pub fn text_at(&self, path: &str) -> &str {
        self.find(path).map_or("", Self::text)
    }

    /// The value of an attribute. One without a prefix is taken before others of the name, and a declaration of a
    /// namespace is none.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let exact = self.attributes.iter().find(|(other, _)| other == name);
        let found = exact.or_else(|| {
            let mut named = self.attributes.iter().filter(|(other, _)| local(other) == name);
            named.find(|(other, _)| !other.starts_with("xmlns:"))
        });
        found.map(|(_, value)| &**value)
    }

    /// Sets the attribute that [`attribute`](Self::attribute) would find, or adds it.
    pub fn set_attribute(&mut self, name: &str, value: &str) {
        let exact = self.attributes.iter().position(|(other, _)| other == name);
        let at = exact.or_else(|| {
            self.attributes
                .iter()
                .position(|(other, _)| local(other) == name && !other.starts_with("xmlns:"))
        });
        match at {
            Some(at) => value.clone_into(&mut self.attributes[at].1),
            None => self.attributes.push((name.to_owned(), value.to_owned())),
        }
    }

    /// Replaces all that is inside by a text.
    pub fn set_text(&mut self, text: &str) {
        self.nodes.clear();
        if !text.is_empty() {
            self.nodes.push(Node::Text(text.to_owned()));
        }
    }

    /// Adds an element behind all that is inside.
    pub fn push(&mut self, child: Self) {
        self.nodes.push(Node::Element(child));
    }

    /// Adds an element in front of the node `at`, or behind all of them.
    pub fn insert(&mut self, at: usize, child: Self) {
        self.nodes.insert(at.min(self.nodes.len()), Node::Element(child));
    }

    /// The first element at a path of names. What is missing of the path is added, with the prefixes of the elements
    /// around it.
    pub fn ensure(&mut self, path: &str) -> &mut Self {
        if path.is_empty() {
            return self;
        }
        let (name, rest) = path.split_once('/').unwrap_or((path, ""));
        if self.child(name).is_none() {
            let prefix = self.name.len() - self.local_name().len();
            self.push(Self::new(format!("{}{name}", &self.name[..prefix])));
        }
        self.child_mut(name).expect("it was there or has just been added").ensure(rest)
    }

    /// Drops the elements inside that have this name.
    pub fn drop_children(&mut self, name: &str) {
        self.nodes
            .retain(|node| !matches!(node, Node::Element(child) if child.local_name() == name));
    }
}

/// A name without its prefix.
fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}
