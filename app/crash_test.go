package app_test

// childVariable makes the test binary a whole Rollcall on the folder it names.
const childVariable = "ROLLCALL_TEST_CHILD"

func child(string) {}
