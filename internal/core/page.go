package core

import (
	"fmt"
	"iter"

	"github.com/azml-go/azml"
)

// Page cuts a page out of a list: up to size elements after the one whose key
// is token (from the beginning when token is empty). next is the token of the
// following page, empty when this is the last one. The list must be in a
// stable order with unique keys. An element that was deleted meanwhile does not
// disturb when after tells the order of keys. Errors: ErrInvalid.
func Page[T any](list iter.Seq2[T, error], key func(T) string, after func(key, token string) bool, token string, size int) (page []T, next string, err error) {
	if size <= 0 {
		return nil, "", fmt.Errorf("%w: page size %d: use 1 or more", azml.ErrInvalid, size)
	}
	for element, err := range list {
		if err != nil {
			return nil, "", err
		}
		if token != "" && !after(key(element), token) {
			continue
		}
		if len(page) == size {
			return page, key(page[size-1]), nil
		}
		page = append(page, element)
	}
	return page, "", nil
}
