// Package backendtest is the conformance suite of package backend: it tells
// whether a driver gives what the interfaces promise. A driver's test calls it
// with a function that opens an empty store:
//
//	func TestObjects(t *testing.T) {
//		backendtest.Objects(t, func(t *testing.T) backendtest.ObjectsHarness {
//			return backendtest.ObjectsHarness{Objects: memory.NewObjects()}
//		})
//	}
//
// The checks are grouped by topic, one subtest for each group and one below it
// for each check, every one on a store of its own. Random checks print their
// seed; AZML_TEST_SEED=<number> repeats one.
package backendtest
