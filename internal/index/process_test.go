package index

const childVariable = "AZML_INDEX_TEST_CHILD"

func child() int { return 0 }
