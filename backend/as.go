package backend

// Unwrapper is implemented by decorators. Unwrap gives the driver (or the next
// decorator) inside.
type Unwrapper interface {
	// Unwrap gives the wrapped value, never nil.
	Unwrap() any
}

// As looks for the optional interface T: in b itself, then in what b wraps,
// and so on inwards. A decorator that must change what an ability does
// implements T itself and is found first.
func As[T any](b any) (T, bool) {
	for b != nil {
		if t, ok := b.(T); ok {
			return t, true
		}
		u, ok := b.(Unwrapper)
		if !ok {
			break
		}
		b = u.Unwrap()
	}
	var zero T
	return zero, false
}
