package iampolicy

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Principal is who asks: a service, or somebody of an account. The zero value is somebody unknown,
// whom only "*" means.
type Principal struct {
	Service string // "sns.amazonaws.com"
	// AWS is the 12 digits of an account, or an ARN: of its root, of a user, or of a role's session
	// (arn:aws:sts::123456789012:assumed-role/role/session).
	AWS string
}

func (p Principal) String() string {
	switch {
	case p.Service != "":
		return p.Service
	case p.AWS != "":
		return p.AWS
	default:
		return "an anonymous caller"
	}
}

// names are what a policy may call somebody of an account, from the widest to the narrowest: the
// account; for a session its role; and the caller. Nobody has none.
func (p Principal) names() []string {
	if p.AWS == "" {
		return nil
	}
	names := []string{accountOf(p.AWS)}
	if role := roleOf(p.AWS); role != "" {
		names = append(names, role)
	}
	if own := canonical(p.AWS); own != names[0] {
		names = append(names, own)
	}
	return names
}

// accountOf is the account of an ARN, or the name itself when it is an account's number.
func accountOf(name string) string {
	parts := strings.SplitN(name, ":", 6)
	if len(parts) < 6 {
		return name
	}
	return parts[4]
}

// roleOf is the ARN of the role that a session's ARN names, without the role's path, which the
// session's does not tell; empty when it is no session.
func roleOf(name string) string {
	parts := strings.SplitN(name, ":", 6)
	if len(parts) < 6 || parts[2] != "sts" {
		return ""
	}
	session, found := strings.CutPrefix(parts[5], "assumed-role/")
	if !found {
		return ""
	}
	role, _, _ := strings.Cut(session, "/")
	return "arn:" + parts[1] + ":iam::" + parts[4] + ":role/" + role
}

// canonical gives one spelling to what has two: an account is its number, and a role has no path,
// since its name alone is unique in the account.
func canonical(name string) string {
	parts := strings.SplitN(name, ":", 6)
	if len(parts) < 6 || parts[2] != "iam" {
		return name
	}
	switch {
	case parts[5] == "root":
		return parts[4]
	case strings.HasPrefix(parts[5], "role/"):
		return strings.Join(parts[:5], ":") + ":role/" + parts[5][strings.LastIndexByte(parts[5], '/')+1:]
	}
	return name
}

// principals is who a statement speaks of. AWS's other kinds (Federated, CanonicalUser) can use no
// queue and no topic with a key of their own, and match nobody here.
type principals struct {
	everyone      bool
	services, aws []string
	count         int // of names, as they count toward the quota
}

var (
	awsName = regexp.MustCompile(`^([0-9]{12}|arn:aws[a-z-]*:(iam::[0-9]{12}:(root|(user|role)/[^*?]+)|sts::[0-9]{12}:(assumed-role/[^*?/]+/[^*?/]+|federated-user/[^*?]+)))$`)
	// A service has a name such as sns.amazonaws.com or sns.af-south-1.amazonaws.com.
	serviceName = regexp.MustCompile(`^[a-z0-9-]+(\.[a-z0-9-]+)*\.(amazonaws|amazon)\.com(\.cn)?$`)
)

// parsePrincipals reads a Principal or a NotPrincipal. faults are the names that no service accepts.
func parsePrincipals(raw json.RawMessage) (p principals, faults []error, err error) {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		if text != "*" {
			return p, nil, fmt.Errorf("%q: write \"*\", or an object such as {\"Service\":\"sns.amazonaws.com\"}", text)
		}
		return principals{everyone: true, count: 1}, nil, nil
	}
	var kinds map[string]json.RawMessage
	if err := json.Unmarshal(raw, &kinds); err != nil || kinds == nil {
		return p, nil, errors.New("neither \"*\" nor an object")
	}
	if len(kinds) == 0 {
		faults = append(faults, errors.New("it names nobody"))
	}
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		names, err := list(kinds[kind])
		if err != nil {
			return p, nil, fmt.Errorf("%s: %w", kind, err)
		}
		p.count += len(names)
		switch kind {
		case "AWS":
			faults = append(faults, p.addAWS(names)...)
		case "Service":
			p.services = names
			for _, name := range names {
				if !serviceName.MatchString(name) {
					faults = append(faults, fmt.Errorf("%q is no service: write its name as sns.amazonaws.com", name))
				}
			}
		case "Federated", "CanonicalUser":
			faults = append(faults, fmt.Errorf("%s: it cannot be evaluated: name an account, a user, a role or a service", kind))
		default:
			return p, nil, fmt.Errorf("%s: unknown kind of principal", kind)
		}
	}
	return p, faults, nil
}

func (p *principals) addAWS(names []string) (faults []error) {
	for _, name := range names {
		switch {
		case name == "*":
			p.everyone = true
		case !awsName.MatchString(name):
			faults = append(faults, fmt.Errorf("%q is nobody: write \"*\", 12 digits, or the ARN of a root, user, role or session, without wildcards", name))
		}
		p.aws = append(p.aws, canonical(name))
	}
	return faults
}

// mean tells whether a Principal means somebody: by any name. "*" means services too: policies of the
// time before service principals let SNS in that way, with a condition on aws:SourceArn.
func (p principals) mean(who Principal) bool {
	switch {
	case p.everyone:
		return true
	case who.Service != "":
		return slices.Contains(p.services, who.Service)
	}
	return slices.ContainsFunc(who.names(), func(name string) bool { return slices.Contains(p.aws, name) })
}

// spare tells whether a NotPrincipal with Deny spares somebody: it must list all names, since AWS asks
// for the account, the role and the session one after the other. Source: "NotPrincipal with Deny", IAM
// User Guide.
func (p principals) spare(who Principal) bool {
	names := who.names()
	if p.everyone || who.Service != "" || len(names) == 0 {
		return p.mean(who)
	}
	return !slices.ContainsFunc(names, func(name string) bool { return !slices.Contains(p.aws, name) })
}
