package mlflow_test

func importAsProcess(args []string) error { return nil }
