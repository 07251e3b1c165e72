package compose_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestContributorsAreToldOfEveryFolder of pkg and deploy: of each there is a line that says what it is for.
func TestContributorsAreToldOfEveryFolder(t *testing.T) {
	page := read(t, "CONTRIBUTING.md")
	for _, parent := range []string{"pkg", "deploy"} {
		folders, err := os.ReadDir(filepath.Join(root, parent))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range folders {
			if name := parent + "/" + f.Name(); f.IsDir() && !strings.Contains(page, "`"+name+"`") {
				t.Errorf("CONTRIBUTING.md doesn't say what %s is for", name)
			}
		}
	}
}
