//go:build !amd64 || boringcrypto

package sha256pair

import "hash"

func enabled() bool { return false }

// common writes nothing.
func common(_, _ hash.Hash, p, q []byte) ([]byte, []byte) { return p, q }
