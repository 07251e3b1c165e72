// Package compose_test checks, without a Docker engine, that `docker compose up` can work: it parses what an engine
// would parse, and builds each image's program as the Dockerfile does.
package compose_test

import (
	"context"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

const root = "../.."

func project(t *testing.T, env []string, profiles ...string) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{filepath.Join(root, "docker-compose.yml")},
		cli.WithWorkingDirectory(root), cli.WithEnv(env), cli.WithProfiles(profiles), cli.WithName("datawatch"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := options.LoadProject(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var (
	always = []string{"collector", "grafana", "kafka", "preprocessor", "prometheus", "validator"}
	demo   = []string{"kafka-shop", "mongo", "postgres", "shop"}
)

func TestProfileDecidesWhichServicesRun(t *testing.T) {
	if got := project(t, nil).ServiceNames(); !slices.Equal(slices.Sorted(slices.Values(got)), always) {
		t.Errorf("without a profile: %v", got)
	}
	want := slices.Sorted(slices.Values(append(slices.Clone(always), demo...)))
	if got := project(t, nil, "demo").ServiceNames(); !slices.Equal(slices.Sorted(slices.Values(got)), want) {
		t.Errorf("with the profile demo: %v", got)
	}
}

func TestEveryServiceIsBoundedCheckedAndRestarted(t *testing.T) {
	for name, s := range project(t, nil, "demo").Services {
		if s.Restart != "unless-stopped" {
			t.Errorf("%s: restart is %q", name, s.Restart)
		}
		if s.MemLimit == 0 {
			t.Errorf("%s: no memory limit", name)
		}
		if s.HealthCheck == nil && name != "shop" {
			t.Errorf("%s: no health check", name)
		}
		if s.Build == nil && !regexp.MustCompile(`^[a-z/]+:v?\d+\.\d+(\.\d+)?$`).MatchString(s.Image) {
			t.Errorf("%s: the image's version isn't pinned: %s", name, s.Image)
		}
		for _, port := range s.Ports {
			if port.HostIP != "127.0.0.1" {
				t.Errorf("%s: port %s is open to the world", name, port.Published)
			}
		}
	}
}

func TestOurImagesRunWithoutRights(t *testing.T) {
	services := project(t, nil, "demo").Services
	for _, name := range []string{"collector", "preprocessor", "validator", "shop"} {
		s := services[name]
		if !s.ReadOnly || s.User != "65532:65532" || !slices.Contains(s.CapDrop, "ALL") {
			t.Errorf("%s: read-only %v, user %s, drops %v", name, s.ReadOnly, s.User, s.CapDrop)
		}
		if _, err := os.Stat(filepath.Join(root, s.Build.Dockerfile)); err != nil {
			t.Error(err)
		}
	}
}

func TestEveryMountExists(t *testing.T) {
	p := project(t, nil, "demo")
	for name, s := range p.Services {
		for _, v := range s.Volumes {
			switch v.Type {
			case types.VolumeTypeBind:
				if _, err := os.Stat(v.Source); err != nil {
					t.Errorf("%s mounts %s: %v", name, v.Source, err)
				}
			case types.VolumeTypeVolume:
				if _, ok := p.Volumes[v.Source]; !ok {
					t.Errorf("%s mounts the volume %q, which isn't named", name, v.Source)
				}
			}
		}
	}
}

func TestEveryVariableIsDocumented(t *testing.T) {
	compose, example := read(t, "docker-compose.yml"), read(t, ".env.example")
	documented := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^([A-Z_]+)=`).FindAllStringSubmatch(example, -1) {
		documented[m[1]] = true
	}
	used := map[string]bool{}
	for _, m := range regexp.MustCompile(`\$\{([A-Z_]+)`).FindAllStringSubmatch(compose, -1) {
		used[m[1]] = true
		if !documented[m[1]] {
			t.Errorf("%s is used and not in .env.example", m[1])
		}
	}
	for name := range documented {
		if !used[name] {
			t.Errorf("%s is in .env.example and not used", name)
		}
	}
}

// What compose sets in the services' environment is what their configuration asks for.
func TestConfigurationGetsItsVariables(t *testing.T) {
	environment := project(t, nil).Services["collector"].Environment
	for _, m := range regexp.MustCompile(`\$\{([A-Z_]+)`).FindAllStringSubmatch(read(t, "deploy/compose/datawatch.yaml"), -1) {
		if _, ok := environment[m[1]]; !ok {
			t.Errorf("deploy/compose/datawatch.yaml asks for %s, which compose doesn't set", m[1])
		}
	}
}

func TestEnvFileOverridesDefaults(t *testing.T) {
	s := project(t, []string{"SHOP_DB_DSN=postgres://mine/shop", "PROMETHEUS_PORT=19090"}).Services
	if dsn := s["collector"].Environment["SHOP_DB_DSN"]; dsn == nil || *dsn != "postgres://mine/shop" {
		t.Errorf("SHOP_DB_DSN is %v", dsn)
	}
	if got := s["prometheus"].Ports[0].Published; got != "19090" {
		t.Errorf("Prometheus is at %s", got)
	}
	if dsn := project(t, []string{"SHOP_DB_DSN="}).Services["collector"].Environment["SHOP_DB_DSN"]; dsn == nil || !strings.Contains(*dsn, "@postgres:5432/shop") {
		t.Errorf("an empty SHOP_DB_DSN isn't the demo's: %v", dsn)
	}
}

// Each image's program is built by the Dockerfile's own command, in a copy that holds what the Dockerfile copies.
func TestImagesBuildAsTheDockerfileSays(t *testing.T) {
	dockerfile := read(t, "deploy/Dockerfile")
	builds := regexp.MustCompile(`(?m)^\s+(go build .*)$`).FindAllStringSubmatch(dockerfile, -1)
	if len(builds) != 2 {
		t.Fatalf("the Dockerfile has %d builds, want the services' and the shop's", len(builds))
	}
	serviceBuild, shopBuild := builds[0][1], builds[1][1]
	for name, c := range map[string]struct {
		modules []string
		folder  string
		command string
	}{
		"collector":    {[]string{"pkg", "collector"}, "collector", serviceBuild},
		"preprocessor": {[]string{"pkg", "preprocessor"}, "preprocessor", serviceBuild},
		"validator":    {[]string{"pkg", "validator"}, "validator", serviceBuild},
		"shop":         {[]string{"pkg", "collector", "preprocessor", "validator", "deploy"}, "deploy", shopBuild},
	} {
		t.Run(name, func(t *testing.T) {
			src, out := t.TempDir(), t.TempDir()
			for _, module := range c.modules {
				if err := os.CopyFS(filepath.Join(src, module), os.DirFS(filepath.Join(root, module))); err != nil {
					t.Fatal(err)
				}
			}
			command := strings.NewReplacer("${SERVICE}", name, "/out", out).Replace(c.command)
			build := exec.CommandContext(t.Context(), "sh", "-c", command)
			build.Dir = filepath.Join(src, c.folder)
			build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=-buildvcs=false", "VERSION=v1.2.3")
			if text, err := build.CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", command, err, text)
			}
			if runtime.GOOS == "linux" {
				assertStatic(t, out)
			}
			if name == "shop" {
				return
			}
			text, err := exec.CommandContext(t.Context(), filepath.Join(out, "datawatch"), "version").CombinedOutput()
			if err != nil || string(text) != name+" v1.2.3\n" {
				t.Errorf("it says that it is %q (%v)", text, err)
			}
		})
	}
}

// assertStatic checks that a program asks for no interpreter: the image has none.
func assertStatic(t *testing.T, folder string) {
	t.Helper()
	programs, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil || len(programs) != 1 {
		t.Fatalf("built %v (%v)", programs, err)
	}
	file, err := elf.Open(programs[0])
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP {
			t.Errorf("%s is linked dynamically", programs[0])
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
