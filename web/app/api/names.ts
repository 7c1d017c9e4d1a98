/** What a schedule, a rule, a token or a worker may be called. */
export function isName(name: string): boolean {
  return /^[A-Za-z0-9._-]{1,64}$/.test(name) && !/^\.+$/.test(name)
}
