//! How packets get to a real server.

/// Forwarding method.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// Network address translation: destination rewritten to the real server, replies pass back through the router.
    Nat = 1,
    /// Direct routing: only the MAC addresses change, the real server answers the client itself.
    Direct = 2,
}

impl Method {
    /// The method stored as `n`; `None` where no such number exists.
    #[inline(always)]
    pub const fn from_u8(n: u8) -> Option<Self> {
        match n {
            1 => Some(Self::Nat),
            2 => Some(Self::Direct),
            _ => None,
        }
    }

    /// The word that ipvsadm prints in its column `Forward`.
    pub const fn ipvsadm_name(self) -> &'static str {
        match self {
            Self::Nat => "Masq",
            Self::Direct => "Route",
        }
    }
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Nat, Self::Direct];
}

/// A set of [`Method`]s: bit number n stands for the method with that number.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Methods(u32);

impl Methods {
    /// No method.
    pub const NONE: Self = Self(0);
    /// Every method.
    pub const ALL: Self = Self::NONE.with(Method::Nat).with(Method::Direct);

    /// These and `method`.
    #[inline(always)]
    pub const fn with(self, method: Method) -> Self {
        Self(self.0 | 1 << method as u32)
    }

    /// Whether `method` is one of them.
    #[inline(always)]
    pub const fn has(self, method: Method) -> bool {
        self.0 & 1 << method as u32 != 0
    }
}

impl FromIterator<Method> for Methods {
    fn from_iter<T: IntoIterator<Item = Method>>(methods: T) -> Self {
        methods.into_iter().fold(Self::NONE, Self::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_what_was_put_in() {
        for method in Method::ALL {
            assert!(Methods::ALL.has(method) && !Methods::NONE.has(method));
            let one: Methods = [method].into_iter().collect();
            assert!(Method::ALL.into_iter().all(|other| one.has(other) == (other == method)));
        }
    }
}
