package backend

import (
	"context"
	"io"
	"iter"
	"time"
)

// Images is an optional interface of Compute: a target whose jobs run in container
// images, and which makes images.
type Images interface {
	// DefaultImage is the base of environments that name none, "" for none.
	DefaultImage() string

	// SharedFolder is a folder in all containers that every job can write to and that
	// outlives them: for what can be made again, and for what the next job of a run
	// finds of the one before.
	SharedFolder() string

	// BuildImage gives the image of the recipe, made unless one of its hash is
	// there, by one of those who ask at the same time, in any process. It writes
	// what the making says to log, from one goroutine at a time and never after it
	// has returned. What fails or is cut off leaves nothing. Errors: ErrInvalid for
	// a recipe that can't be followed, ErrFailed when its setup ended with another
	// code than 0, ErrNotFound when there is no such base.
	BuildImage(ctx context.Context, recipe ImageRecipe, log io.Writer) (Image, error)

	// Images yields the images that were made of recipes, in order of their
	// hashes. Rules as Objects.List.
	Images(ctx context.Context) iter.Seq2[Image, error]

	// RemoveImage removes the image of that hash. Errors: ErrNotFound,
	// ErrConflict while a job has it.
	RemoveImage(ctx context.Context, hash string) error
}

// ImageBuilds is an optional interface of Images: a target whose images are made by jobs,
// for which it may have no room yet.
type ImageBuilds interface {
	// BuildStatus tells how the job is that makes the image of the hash, for whomever.
	// Errors: ErrNotFound when none does.
	BuildStatus(ctx context.Context, hash string) (JobStatus, error)
}

// ImageRecipe says what is in an image.
type ImageRecipe struct {
	// Hash names the image: recipes of the same hash are the same. 1 to 100
	// lower case letters and digits.
	Hash string
	// Base is the image that it begins with. One of Base, Dockerfile and Context is
	// set.
	Base string
	// Dockerfile is the text of a Dockerfile that makes what it begins with. It
	// can copy nothing, as it has no folder.
	Dockerfile string
	// Context is a folder with a Dockerfile that makes what it begins with.
	Context *BuildContext
	// Setup is a script for /bin/sh that runs as root in a container of what the
	// image begins with. What it leaves is the image. Empty leaves that as it is.
	Setup string
	// Input is what Setup reads from its standard input, and Env what is in its
	// environment besides what the image itself sets. Neither is part of the image
	// or shown in descriptions of it.
	Input []byte
	// Env is described with Input.
	Env map[string]string
	// Path are folders that come first in the PATH of the image.
	Path []string
}

// BuildContext is a folder with a Dockerfile, which may copy what is in it.
type BuildContext struct {
	// Dockerfile is the path of the Dockerfile in the folder, parted by "/".
	Dockerfile string
	// Write writes the folder as a tar archive, the same each time. Its error is the
	// writer's or of one of the classes.
	Write func(ctx context.Context, w io.Writer) error
}

// Image is an image that a target can run jobs in.
type Image struct {
	// Name is what Job.Image has for it.
	Name string
	// Hash is that of its recipe.
	Hash string
	// Env is what the image sets for processes, such as PATH.
	Env map[string]string
	// Reused tells that it was there already.
	Reused bool
	// Size is its size in bytes, with all that it shares with others.
	Size int64
	// Created is when it was made.
	Created time.Time
	// LastUsed is when BuildImage gave it out last from this machine.
	LastUsed time.Time
}
