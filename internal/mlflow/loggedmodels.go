package mlflow

import "context"

func loggedModelRoutes() []route {
	return []route{{"POST", "/mlflow/logged-models/search", rpc(call.searchLoggedModels)}}
}

type searchLoggedModels struct{}

// searchLoggedModels finds none, as none can be made yet. Clients ask it for
// each folder of a run that they list.
func (c call) searchLoggedModels(context.Context, *searchLoggedModels) (nothing, error) {
	return nothing{}, nil
}
