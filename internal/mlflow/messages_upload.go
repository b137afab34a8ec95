package mlflow

import "strings"

// uploadTarget names the file that is uploaded in parts: the folder stands in
// the path of the request, the file's name in the message.
type uploadTarget struct {
	Path   string `json:"path" need:"true"`
	folder string
}

func (u *uploadTarget) setPath(params []string) { u.folder = params[0] }

// target gives the path of the file. Of a name with folders, in whichever
// system's form, the last part counts: clients before 3.18 send the path that
// the file has on their machine.
func (u uploadTarget) target() (string, error) {
	name := u.Path[strings.LastIndexAny(u.Path, `/\`)+1:]
	folder, err := checkPath(u.folder)
	if err == nil && (name == "" || folder == "") {
		err = invalid("Invalid path '%s': give a folder and the name of a file", cut(u.folder+"/"+name, maxKey))
	}
	if err != nil {
		return "", err
	}
	return checkPath(folder + "/" + name)
}

type createUpload struct {
	uploadTarget
	NumParts *int64 `json:"num_parts"`
}

type createUploadResponse struct {
	UploadID    string       `json:"upload_id"`
	Credentials []credential `json:"credentials"`
}

// credential says how a part is to be sent.
type credential struct {
	URL        string            `json:"url"`
	PartNumber int64             `json:"part_number"`
	Headers    map[string]string `json:"headers"`
}

type completeUpload struct {
	uploadTarget
	UploadID string         `json:"upload_id"`
	Parts    []uploadedPart `json:"parts" need:"true"`
}

func (*completeUpload) maxBody() int64 { return maxCompleteBody }

type uploadedPart struct {
	PartNumber int64  `json:"part_number"`
	Etag       string `json:"etag"`
	URL        string `json:"url"`
}

type abortUpload struct {
	uploadTarget
	UploadID string `json:"upload_id"`
}

// presignedResponse says where a file is to be downloaded from.
type presignedResponse struct {
	URL      string            `json:"url"`
	Headers  map[string]string `json:"headers"`
	FileSize int64             `json:"file_size"`
}
