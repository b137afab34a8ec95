package azureblob

// CutUp makes the store send objects of more than single bytes in blocks of
// block bytes.
func CutUp(s *Store, single, block int64) { s.single, s.block = single, block }
