import { useEffect } from 'preact/hooks'

/** Names the view in the title of the window. */
export function useTitle(title: string) {
  useEffect(() => {
    document.title = `${title} · jobtracker`
  }, [title])
}
