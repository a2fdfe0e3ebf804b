//! Placeholder while the module is checked for its build.
