package mlflow

// The answers of searches as clients read them: they are written by hand.

type searchRunsResponse struct {
	Runs          []runMessage `json:"runs,omitempty"`
	NextPageToken string       `json:"next_page_token,omitempty"`
}

type searchExperimentsResponse struct {
	Experiments   []experimentMessage `json:"experiments,omitempty"`
	NextPageToken string              `json:"next_page_token,omitempty"`
}

type searchLoggedModelsResponse struct {
	Models        []loggedModel `json:"models,omitempty"`
	NextPageToken string        `json:"next_page_token,omitempty"`
}

type searchModelVersionsResponse struct {
	ModelVersions []modelVersion `json:"model_versions,omitempty"`
	NextPageToken string         `json:"next_page_token,omitempty"`
}
