// Package backend is the seam between the library and the systems it stands
// on: three small interfaces, for an object store ([Objects]), a secret store
// ([Secrets]) and a compute target ([Compute]). It holds interfaces and their
// plain types only; the drivers are in the folders below it, one each, and
// import nothing of the library but this package and the error classes.
//
// A driver may assume what the layer above guarantees: keys are legal, options
// are never nil, names were checked. It must give what the comments here
// promise. Package backend/backendtest is the conformance suite that tells
// whether it does.
//
// Errors wrap a class of package azml, with the cause beside it:
//
//	return fmt.Errorf("%w: %w", azml.ErrNotFound, err)
//
// A driver never retries: only backend/retrying does, for ErrUnavailable and
// nothing else. Every method honours its context: it returns soon after the
// context is done, with an error that wraps ctx.Err().
//
// Abilities that not every driver has are optional interfaces ([Spooler]).
// Ask for one with [As], which looks through decorators.
package backend
