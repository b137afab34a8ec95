package core

// Memo gives what a higher package keeps with the opened workspace under key,
// a value of a type of its own: for caches that all users of the workspace
// share. The first call makes it.
func Memo[T any](h Handle, key any, make func() *T) *T {
	if kept, ok := h.s.memos.Load(key); ok {
		return kept.(*T)
	}
	kept, _ := h.s.memos.LoadOrStore(key, make())
	return kept.(*T)
}
