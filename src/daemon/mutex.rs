//! A lock that a panic elsewhere does not take away. In: a mutex of which each change leaves what is locked whole. Out: its guard.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks, whoever panicked.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
