package backend

import "context"

// ChangeFeed is an optional interface of Objects for stores that can tell what
// changed since an earlier look without listing everything. Whoever keeps an
// index of a store begins with an empty cursor and a listing:
//
//	changes, err := feed.Changes(ctx, cursor, &backend.ChangesOptions{})
//	if changes.Lost {
//		// compare a listing, begun now
//	} else {
//		// look at changes.Keys
//	}
//	cursor = changes.Cursor // kept once the index has all that
//
// and so misses nothing, whoever writes meanwhile and however writers die.
//
// A decorator around a store without the ability may have it none the less, and
// then says that all is lost, always, without a cursor.
type ChangeFeed interface {
	// Changes names the objects that may have been written or deleted since
	// the call that gave cursor: every write is named that returned after that
	// call had returned and before this one began. What returned while that
	// call was going on is named there or here, or shows in the listing begun
	// after it. A write that has not returned yet may be named before its
	// change can be seen; it is named again after its end, however it ends. A
	// cursor may be used any number of times, by any process.
	//
	// An empty cursor, and one that is unknown or too old, is no error but
	// Lost. Errors: ErrUnavailable, ErrDenied, ErrClosed.
	Changes(ctx context.Context, cursor string, opts *ChangesOptions) (Changes, error)
}

// ChangesOptions are the options of ChangeFeed.Changes.
type ChangesOptions struct {
	// Prefix is the beginning of the keys wanted, any string, empty for all.
	Prefix string
}

// Changes is what ChangeFeed.Changes gives.
type Changes struct {
	// Keys are the keys of objects that may have been written or deleted, in
	// byte order, each once. That a key is named does not say that its object
	// changed, or is there.
	Keys []string
	// Cursor is where the next call goes on, any text up to 200 bytes. With
	// Lost it may be empty: the store could find no place to go on from, and
	// the next call is Lost, too.
	Cursor string
	// Lost says that the store can't tell. Keys is empty; the caller compares a
	// listing that it begins after this call has returned.
	Lost bool
}
