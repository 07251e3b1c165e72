package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// runningFile exists while a broker runs on a data folder. Found at a start, it
// says that the one before was never closed.
const runningFile = "running"

// session is one run of a broker on a data folder.
type session struct {
	path    string
	crashed bool // the run before this one was not closed
}

func openSession(dir string) (*session, error) {
	s := &session{path: filepath.Join(dir, runningFile)}
	switch _, err := os.Stat(s.path); {
	case err == nil:
		s.crashed = true
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("look for the traces of an earlier run: %w", err)
	}
	if err := os.WriteFile(s.path, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o640); err != nil {
		return nil, fmt.Errorf("mark the data folder as in use: %w", err)
	}
	return s, nil
}

func (s *session) close() error {
	if err := os.Remove(s.path); err != nil {
		return fmt.Errorf("mark the data folder as closed: %w", err)
	}
	return nil
}
