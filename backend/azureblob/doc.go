// Package azureblob keeps objects in a container of Azure Blob Storage.
//
// What Put stores is a block blob: up to [singlePut] bytes in one request,
// larger ones in blocks that are sent in parallel and become the blob by one
// last request. What Append makes is an append blob; the service adds to it only
// at the offset that is asked for, 50,000 times at most, so whoever appends for
// long begins a new object before that. Append to what Put made is
// ErrUnsupported. The service verifies an MD5 of all bytes that it is sent.
//
// # Names
//
// A blob's name is its key, spelled so that the service can't take one key for
// another and lists keys in the order of their bytes: letters, digits and the
// usual punctuation stay, all else becomes ASCII that sorts alike. A name has at
// most twice as many characters as its key has bytes. The service's limits are
// 1,024 characters and 254 segments; a key whose name is longer than that is
// ErrInvalid. Blobs of names that no key is spelled as are not seen.
//
// Files (see [backend.FilesPrefix]) have their keys as names, as other programs
// expect: a dot at the end of a segment or a "\" is ErrInvalid there.
//
// # Failures
//
// Requests that fail are sent again by the pipeline of the SDK, which obeys
// Retry-After, and by nothing else: put no package retrying around this one. A
// write whose answer was lost, and that then meets its own effect, is found out
// about: a conditional Put marks its blob with a random token, in the metadata
// "azmlwrite", and asks for it when it is refused; an Append that had to be sent
// again compares the bytes. A Delete that had to be sent again succeeds when the
// blob is gone. A connection on which nothing moves for a minute is given up.
//
// A container that is not there is ErrUnavailable and not ErrNotFound, which
// would mean that every single object had been deleted.
//
// # Requests
//
// Get, Stat, Delete, Append and a Put of up to [singlePut] bytes are one request
// each; the first Append of an object is two. List is one for 5,000 blobs or
// common prefixes. A condition that is refused costs one more.
package azureblob
