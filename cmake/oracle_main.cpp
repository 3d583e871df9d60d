// Links with the sources that oracle.cmake tries, nothing more.
int main() { return 0; }
