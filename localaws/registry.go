package localaws

// Support says how much of an action this server does.
type Support string

// How much of an action this server does.
const (
	Full    Support = "full"    // as AWS, in all that a client can notice
	Partial Support = "partial" // Action.Lacks says what is missing
	Absent  Support = "absent"  // answered with UnsupportedOperation, by name
)

// Action is an action of AWS and what this server makes of it.
type Action struct {
	Service string // "sqs", "sns" or "sts"
	Name    string
	Does    string // in a few words
	Support Support
	Lacks   string // what AWS does here and this server does not, when Support is Partial
}

// Actions returns every action of the services, in the order of their API references: the models
// that the SDKs are made of name no others.
func Actions() []Action {
	var all []Action
	for _, service := range []string{"sqs", "sns", "sts"} {
		for _, a := range tables[service] {
			all = append(all, Action{Service: service, Name: a.name, Does: a.does, Support: a.support(), Lacks: a.lacks})
		}
	}
	return all
}

// queryAction performs an action. What it returns is encoded by the protocol that the request came
// in; nil is an answer without a result.
type queryAction func(c *call) (result any, err error)

// action is a line of the registry.
type action struct {
	name, does string
	lacks      string      // what is missing; empty: nothing
	run        queryAction // nil: not implemented here
	// open is an action that a request without credentials may ask for.
	open bool
	// as is the name that policies know the action by, when it is another: those of a batch are
	// granted with the action for one.
	as string
}

func (a *action) support() Support {
	switch {
	case a.run == nil:
		return Absent
	case a.lacks != "":
		return Partial
	default:
		return Full
	}
}

// tables are the actions of each service.
var tables = map[string][]action{"sqs": sqsActions, "sns": snsActions, "sts": stsActions}

// registry finds an action by service and name.
var registry = func() map[string]map[string]*action {
	all := map[string]map[string]*action{}
	for service, table := range tables {
		all[service] = make(map[string]*action, len(table))
		for i := range table {
			all[service][table[i].name] = &table[i]
		}
	}
	return all
}()
