import { useEffect, useRef, useState } from 'preact/hooks'
import { ApiError } from '../api/client'
import { t } from '../texts'
import { login } from './session'

/** Stands above the page, which goes on where it was after the login. */
export function Login() {
  const element = useRef<HTMLDialogElement>(null)
  const [token, setToken] = useState('')
  const [error, setError] = useState<string | undefined>(undefined)
  const [isBusy, setBusy] = useState(false)
  useEffect(() => {
    if (!element.current?.open) element.current?.showModal()
  }, [])
  const submit = async (event: Event) => {
    event.preventDefault()
    setBusy(true)
    try {
      await login(token.trim())
    } catch (failure) {
      const refused = failure instanceof ApiError ? failure : undefined
      setError(refused?.status === 0 ? t.value.unreachable : refused?.detail || t.value.login.wrong)
      setBusy(false)
    }
  }
  return (
    <dialog
      ref={element}
      class="login"
      aria-labelledby="login-title"
      onCancel={(event) => event.preventDefault()}
    >
      <form class="stack" onSubmit={submit}>
        <h2 id="login-title">{t.value.login.title}</h2>
        <p class="muted">{t.value.login.what}</p>
        <label class="labelled">
          {t.value.login.token}
          <input
            type="password"
            name="token"
            autocomplete="current-password"
            required
            value={token}
            onInput={(event) => setToken(event.currentTarget.value)}
          />
        </label>
        {error && (
          <p class="wrong" role="alert">
            {error}
          </p>
        )}
        <button type="submit" class="primary" disabled={isBusy || token.trim() === ''}>
          {t.value.login.enter}
        </button>
      </form>
    </dialog>
  )
}
